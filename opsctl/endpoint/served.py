"""What a stack's endpoint serves now, as its journal says: read without the lock, for those who only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Journal
from opsctl.endpoint.names import Names
from opsctl.endpoint.spec import ScaleToZero
from opsctl.errors import NotDeployed

if TYPE_CHECKING:
    from opsctl.endpoint.open import StackTarget
    from opsctl.endpoint.spec import EndpointSpec


def read_journal(target: StackTarget, endpoint: str) -> Journal:
    """The journal of the endpoint; an empty one where there is none."""
    from opsctl.aws.documents import BucketDocument  # noqa: PLC0415 - boto3 is paid when it is needed

    document = BucketDocument.open(target.region, target.bucket, Names(endpoint).journal_key)
    found = document.read()
    return Journal() if found is None else journals.read(found.text, document.where)


def served(target: StackTarget, name: str | None) -> EndpointSpec:
    """The spec that runs.

    Raises:
        NotDeployed: none was deployed yet.
    """
    endpoint = name or target.cfg.generation.endpoint
    spec = read_journal(target, endpoint).last_good
    if spec is None:
        raise NotDeployed(
            f"endpoint '{endpoint}' was never deployed", next_step=f"`opsctl deploy-endpoint --stack {target.stack}`"
        )
    return spec


def component_of(spec: EndpointSpec) -> str | None:
    """The inference component that serves it, in the shape that has one."""
    return Names(spec.endpoint).component if isinstance(spec.shape, ScaleToZero) else None
