"""CPU time of `opsctl --help` against that of a bare click script with one command. Goal: at most 1.3 times."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from paired import cpu_s, environment, paired

GOAL = 1.3
BARE = """
import click


@click.command()
@click.option("--name", default="world", help="Who to greet.")
def hello(name):
    "Greet."
    click.echo(f"Hello {name}")


if __name__ == "__main__":
    hello()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = max(10, parser.parse_args().rounds)
    opsctl = Path(sys.executable).with_name("opsctl")
    with TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE, encoding="utf-8")
        result = paired(
            cpu_s([sys.executable, str(opsctl), "--help"]), cpu_s([sys.executable, str(bare), "--help"]), rounds=rounds
        )
    document = {
        "bench": "opsctl --help by a bare click script, CPU",
        **result.document(),
        "goal": GOAL,
        "met": result.ratio <= GOAL,
        "environment": environment("click", "rag-platform"),
    }
    print(json.dumps(document, indent=2))
    return 0 if result.ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
