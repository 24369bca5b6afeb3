"""From a stack's name to what a smoke test is held to; the Delivery alone says it, in every topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.errors import NotDeployed
from opsctl.project import LOCAL_STACK
from opsctl.service_key import service_key
from opsctl.smoke.run import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.trial import Trial
    from opsctl.project import Project
    from opsctl.settings import Settings
    from opsctl.stack import Delivery

TRIAL_TOKENS = 32


def target_of(
    project: Project,
    stack: str,
    delivery: Delivery,
    settings: Settings,
    *,
    url: str | None = None,
    release: str | None = None,
) -> Target:
    """The service of `stack`.

    `url` is asked instead of the stack's, and `release` has to answer, where they are given.

    Raises:
        NotDeployed: it has no address yet.
        CloudRefused, TimedOut: its key can't be read.
    """
    address = url or delivery.url
    if address is None:
        raise NotDeployed(
            f"stack '{stack}' has no url: its workload isn't deployed yet",
            next_step=f"run `opsctl deploy --stack {stack}`",
        )
    promised = delivery.promises
    return Target(
        address.rstrip("/"),
        stack=stack,
        release=release,
        api_key=service_key(settings, delivery),
        collections=promised.collections if promised else (),
        slo_s=promised.p95_seconds if promised else None,
        model=_trial(project, stack, settings) if delivery.endpoint and delivery.endpoint.bucket else None,
    )


def answers_demo(stack: str, delivery: Delivery) -> bool:
    """Whether the answers come from the demo corpus."""
    return stack == LOCAL_STACK and delivery.source is None


def _trial(project: Project, stack: str, settings: Settings) -> Callable[[], Trial]:
    def ask() -> Trial:
        # boto3 is paid by the check that asks the model
        from opsctl.aws.runtime import invoke  # noqa: PLC0415
        from opsctl.endpoint.open import open_stack  # noqa: PLC0415
        from opsctl.endpoint.served import component_of, served  # noqa: PLC0415
        from opsctl.endpoint.trial import PROMPT, try_prompt  # noqa: PLC0415

        spec = served(open_stack(project, stack, settings.environ), None)
        component = component_of(spec)
        return try_prompt(
            spec.engine, PROMPT, TRIAL_TOKENS, lambda body: invoke(spec.region, spec.endpoint, component, body)
        )

    return ask
