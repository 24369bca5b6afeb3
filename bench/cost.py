"""What a report adds to running the program under mocks, and what four topologies and a sweep add to one report.

Goals: a report at most 1.2 times the program; `--compare` of all topologies that are built at most twice one report;
`--sweep` of 200 points at most one second more of CPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from figures import Figure, Report, main, report
from paired import cpu_s, paired
from processes import environ

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


def run() -> Report:
    opsctl = str(Path(sys.executable).with_name("opsctl"))
    words = [sys.executable, opsctl, "cost-report", "--stack-file", str(ROOT / "Pulumi.prod.yaml"), "--format", "json"]
    program = [sys.executable, "-c", f"import os; os.chdir({str(ROOT)!r})\n{PROGRAM}"]
    alone = paired(cpu_s(words, environ()), cpu_s(program, environ()), rounds=ROUNDS, unit="CPU s")
    buildable = ["ecs"] * len(TOPOLOGIES)  # as many runs of a program; an edge with a cloud half can't be built yet
    compared = paired(
        cpu_s([*words, "--compare", ",".join(buildable)], environ()),
        cpu_s(words, environ()),
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
        Figure(f"--compare of {len(buildable)} / one report", compared.ratio, "x CPU", at_most=GOAL_COMPARED),
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
