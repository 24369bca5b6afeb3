from __future__ import annotations

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from opsctl.endpoint.chat_template import ALPACA, template_environment
from service.adapters.sagemaker_engines import alpaca
from service.ports import Message

CHAT = [
    Message("system", "Answer from the sources."),
    Message("user", "What is nginx?"),
    Message("assistant", "A web server [1]."),
    Message("user", "And \n a proxy?"),
]


@pytest.mark.parametrize("messages", [CHAT[1:2], CHAT[:2], CHAT])
def test_vllm_makes_the_prompt_that_the_service_gives_tgi(messages: list[Message]) -> None:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as the engines render templates
    spelled = [{"role": message.role, "content": message.content} for message in messages]
    assert environment.from_string(ALPACA).render(messages=spelled) == alpaca(messages)
    # vLLM turns the escapes of a template that is no file into characters first
    decoded = ALPACA.encode().decode("unicode_escape")
    assert environment.from_string(decoded).render(messages=spelled) == alpaca(messages)


def test_the_template_survives_an_environment_that_is_read_line_by_line() -> None:
    assert "\n" not in ALPACA
    assert ALPACA.strip() == ALPACA


@pytest.mark.parametrize(
    ("engine", "has_template", "told"),
    [("vllm", False, True), ("vllm", True, False), ("vllm", None, False), ("tgi", False, False)],
)
def test_only_vllm_is_told_and_only_for_a_model_without_one(engine: str, *, has_template: bool, told: bool) -> None:
    assert bool(template_environment(engine, has_template=has_template)) is told  # type: ignore[arg-type]
