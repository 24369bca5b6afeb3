"""`opsctl endpoint test`: a real prompt, timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.endpoint.open import open_stack
from opsctl.endpoint.served import component_of, served
from opsctl.endpoint.trial import PROMPT, try_prompt
from opsctl.output import data_console, talk_console, working, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.endpoint.trial import Trial
    from opsctl.output import Form


@click.command("test")
@click.argument("name", required=False)
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint.")
@click.option("--prompt", default=PROMPT, show_default=True, help="What the model is asked.")
@click.option("--max-tokens", type=click.IntRange(1, 1024), default=64, show_default=True, help="Longest answer.")
@click.option("--runs", type=click.IntRange(1, 20), default=3, show_default=True, help="How often, one by one.")
@output_option
def test(*, name: str | None, stack: str, prompt: str, max_tokens: int, runs: int, form: Form) -> None:
    """Ask the model of endpoint NAME a real question; show its first token, its latency and its tokens per second.

    NAME is generation.endpoint. Ends with 1 if it sleeps, fails, or says nothing.

    \b
    Example:
      opsctl endpoint test --stack prod --runs 5
    """  # noqa: D301 - click reads \b
    from opsctl.aws.runtime import invoke  # noqa: PLC0415 - boto3 is paid when it is needed

    settings = environment.load()
    spec = served(open_stack(find_project(), stack, settings.environ), name)
    component = component_of(spec)
    trials = []
    for number in range(1, runs + 1):
        with working(talk_console(settings), f"asking {spec.endpoint} ({number} of {runs}) ..."):
            trials.append(
                try_prompt(
                    spec.engine, prompt, max_tokens, lambda body: invoke(spec.region, spec.endpoint, component, body)
                )
            )
    if form == "json":
        head = {"version": 1, "stack": stack, "endpoint": spec.endpoint, "engine": spec.engine}
        write_json({**head, "component": component, "runs": [_document(each) for each in trials]})
    else:
        write_table(data_console(settings), ("first token", "time", "tokens", "per second", "answer"), _rows(trials))


def _rows(trials: list[Trial]) -> list[tuple[str, ...]]:
    return [
        (
            f"{each.first_token_s * 1000:.0f} ms",
            f"{each.total_s:.2f} s",
            str(each.output_tokens),
            "" if each.tokens_per_s is None else f"{each.tokens_per_s:.1f}",
            " ".join(each.text.split())[:60],
        )
        for each in trials
    ]


def _document(trial: Trial) -> dict[str, object]:
    return {
        "firstTokenMs": round(trial.first_token_s * 1000, 1),
        "totalMs": round(trial.total_s * 1000, 1),
        "inputTokens": trial.input_tokens,
        "outputTokens": trial.output_tokens,
        "tokensPerSecond": None if trial.tokens_per_s is None else round(trial.tokens_per_s, 2),
        "answer": trial.text,
    }
