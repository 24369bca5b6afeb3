"""CPU time of building the ECS stack `prod` in process by that of importing what it uses of pulumi_aws.

Goals: at most 1.3 times, and at most 400 MiB of memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from paired import cpu_s, environment, paired

ROOT = Path(__file__).parents[1]
GOAL, GOAL_MIB = 1.3, 400
PROGRAM = """
import resource
import sys
from pathlib import Path
from infra.diagram import stack_config
from infra.offline import declare

declared = declare(stack_config(Path("Pulumi.prod.yaml")))
kinds = {each.type for each in declared.resources if each.type.startswith("aws:")}
used = {f"{kind.split(':')[1].split('/')[0]}.{kind.rpartition(':')[2]}" for kind in kinds}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, *sorted(used))
"""
IMPORTS = """
import sys
import pulumi_aws

for name in sys.argv[1:]:
    module, kind = name.split(".")
    getattr(getattr(pulumi_aws, module), kind)  # a module is imported when something of it is asked for
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = max(4, parser.parse_args().rounds)
    first = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    memory_mib, used = int(first[0]), first[1:]
    result = paired(
        cpu_s([sys.executable, "-c", f"import os; os.chdir({str(ROOT)!r})\n{PROGRAM}"]),
        cpu_s([sys.executable, "-c", IMPORTS, *used]),
        rounds=rounds,
    )
    met = result.ratio <= GOAL and memory_mib <= GOAL_MIB
    document = {
        "bench": "building the stack prod by importing its pulumi_aws modules, CPU",
        **result.document(),
        "goal": GOAL,
        "memoryMiB": memory_mib,
        "goalMiB": GOAL_MIB,
        "met": met,
        "types": used,
        "environment": environment("pulumi", "pulumi-aws", "rag-platform"),
    }
    print(json.dumps(document, indent=2))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
