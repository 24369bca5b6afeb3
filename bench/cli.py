"""CPU time of `opsctl --help` against that of a bare click script with one command. Goal: at most 1.3 times."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from figures import Figure, Report, main, report
from paired import cpu_s, paired
from processes import environ

GOAL = 1.3
ROUNDS = 20
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


def run() -> Report:
    opsctl = Path(sys.executable).with_name("opsctl")
    with TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE, encoding="utf-8")
        compared = paired(
            cpu_s([sys.executable, str(opsctl), "--help"], environ()),
            cpu_s([sys.executable, str(bare), "--help"], environ()),
            rounds=ROUNDS,
            unit="CPU s",
        )
    figures = [
        Figure("opsctl --help / bare click script", compared.ratio, "x CPU", at_most=GOAL),
        Figure("opsctl --help", median(compared.a), "CPU s"),
    ]
    return report(
        "What does opsctl add to click?", figures, details=compared.document(), versions=("click", "rag-platform")
    )


if __name__ == "__main__":
    main(run)
