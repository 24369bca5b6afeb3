"""From a stack's name to a whole copy of a model in its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.aws.weights import WeightsBucket
from opsctl.errors import NotDeployed
from opsctl.model.progress import copy_progress
from opsctl.model.upload import Upload
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from opsctl.model.upload import Result
    from opsctl.model.weights import Weights
    from opsctl.project import Project
    from opsctl.settings import Settings
    from opsctl.stack import Delivery


def copy_model(
    project: Project, stack: str, open_weights: Callable[[Delivery], Weights], settings: Settings, talk: Console
) -> tuple[str, Result]:
    """Copy a model into the stack's bucket; gives the copy's address and what was sent.

    Raises:
        NotDeployed: the stack has no bucket for models yet.
        NotUsable, CheckFailed, CloudRefused, TimedOut
    """
    delivery = read_delivery(project, stack, settings.environ)
    if delivery.endpoint is None or delivery.endpoint.bucket is None:
        raise NotDeployed(
            f"stack '{stack}' has no bucket for models yet", next_step=f"build it: `opsctl deploy --stack {stack}`"
        )
    bucket = WeightsBucket.open(delivery.endpoint.bucket, delivery.region)
    weights = open_weights(delivery)
    with copy_progress(talk, weights) as tell:
        result = Upload(weights, bucket, tell).run()
    return f"s3://{bucket.name}/{result.copy.prefix}", result
