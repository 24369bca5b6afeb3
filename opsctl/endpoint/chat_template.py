"""The prompt form of models that were published without a chat template, for vLLM, which refuses chats without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.endpoint.spec import Engine

TEMPLATE_FLAG = "SM_VLLM_CHAT_TEMPLATE"
# The Alpaca form, as the service gives it to TGI. On one line: the container reads its environment line by line; vLLM
# takes a template that is no file's name for the template itself.
ALPACA = (
    r"{% for m in messages %}"
    r"{{ {'system': '', 'user': '### Instruction:\n', 'assistant': '### Response:\n'}[m['role']] }}"
    r"{{ m['content'] }}{{ '\n\n' }}{% endfor %}{{ '### Response:\n' }}"
)


def template_environment(engine: Engine, *, has_template: bool | None) -> tuple[tuple[str, str], ...]:
    """What the container is told of a model that is known to have no template of its own."""
    return ((TEMPLATE_FLAG, ALPACA),) if engine == "vllm" and has_template is False else ()
