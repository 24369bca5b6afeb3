"""What a report adds to running the program under mocks, and what four topologies and a sweep add to one report.

Goals: a report at most 1.2 times the program; `--compare` of all topologies that are built at most twice one report;
`--sweep` of 200 points at most one second more of CPU. The comparison is of a stack that every topology can build.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from figures import Figure, Report, main, report
from paired import cpu_s, paired
from processes import environ
from ruamel.yaml import YAML

from infra.topologies import TOPOLOGIES

ROOT = Path(__file__).parents[1]
ROUNDS = 8
GOAL, GOAL_COMPARED, GOAL_SWEEP_S = 1.2, 2.0, 1.0
PROGRAM = """
from pathlib import Path
from infra.diagram import stack_config
from infra.offline import declare

declare(stack_config(Path("Pulumi.prod.yaml")))
"""


BOTH = {
    "generation": {
        "provider": "llamacpp",
        "model": "/models/answers.gguf",
        "llamacpp": {"image": "registry.example.com/llama@sha256:" + "0" * 64},
    },
    "queryModel": {"provider": "none"},
    "cache": {"redis": "none"},
    "hybrid": {"fallback": {"kind": "none"}},
}
"""What an edge and a cloud topology can both build, while the edge's cloud half can't be."""


def of_every_topology(folder: Path) -> Path:
    """The production stack with these keys."""
    yaml = YAML()
    tree = yaml.load((ROOT / "Pulumi.prod.yaml").read_text())
    tree["config"].update({f"rag-platform:{key}": value for key, value in BOTH.items()})
    file = folder / "Pulumi.both.yaml"
    with file.open("w") as text:
        yaml.dump(tree, text)
    return file


def run() -> Report:
    opsctl = str(Path(sys.executable).with_name("opsctl"))
    words = [sys.executable, opsctl, "cost-report", "--stack-file", str(ROOT / "Pulumi.prod.yaml"), "--format", "json"]
    program = [sys.executable, "-c", f"import os; os.chdir({str(ROOT)!r})\n{PROGRAM}"]
    alone = paired(cpu_s(words, environ()), cpu_s(program, environ()), rounds=ROUNDS, unit="CPU s")
    with tempfile.TemporaryDirectory() as folder:
        anywhere = [sys.executable, opsctl, "cost-report", "--stack-file", str(of_every_topology(Path(folder)))]
        compared = paired(
            cpu_s([*anywhere, "--format", "json", "--compare", ",".join(TOPOLOGIES)], environ()),
            cpu_s([*anywhere, "--format", "json"], environ()),
            rounds=ROUNDS,
            unit="CPU s",
        )
    swept = paired(
        cpu_s([*words, "--sweep", "queries_per_month=1e3..1e7"], environ()),
        cpu_s(words, environ()),
        rounds=ROUNDS,
        unit="CPU s",
    )
    figures = [
        Figure("cost report / program under mocks", alone.ratio, "x CPU", at_most=GOAL),
        Figure(f"--compare of {len(TOPOLOGIES)} / one report", compared.ratio, "x CPU", at_most=GOAL_COMPARED),
        Figure(
            "--sweep of 200 points, more than a report",
            median(swept.a) - median(swept.b),
            "CPU s",
            at_most=GOAL_SWEEP_S,
        ),
        Figure("cost report", median(alone.a), "CPU s", at_most=5.0),
    ]
    details = {"report": alone.document(), "compare": compared.document(), "sweep": swept.document()}
    return report(
        "What does pricing add to the program?", figures, details=details, versions=("rag-platform", "pulumi-aws")
    )


if __name__ == "__main__":
    main(run)
