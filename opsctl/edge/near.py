"""A stack's service as this machine reaches it: an edge behind SSH listens on its own loopback alone."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.stack import Delivery

LOCAL = "local"


@contextmanager
def near(delivery: Delivery) -> Iterator[Delivery]:
    """The same Delivery with addresses that this machine can ask, through SSH where no edge is here.

    Raises:
        CheckFailed: the first host can't be reached.
    """
    if delivery.url is None or not delivery.hosts or LOCAL in delivery.hosts:
        yield delivery
        return
    from infra.edge.errors import EdgeError  # noqa: PLC0415 - only where there are such hosts
    from infra.edge.hosts.address import parse  # noqa: PLC0415
    from infra.edge.hosts.transport import transport_to  # noqa: PLC0415

    url = httpx.URL(delivery.url)
    with ExitStack() as stack:
        try:
            port = stack.enter_context(transport_to(parse(delivery.hosts[0])).forwarded(url.port or 80, url.host))
        except EdgeError as exc:
            raise CheckFailed(str(exc), next_step="`opsctl edge status` looks at all of them") from exc
        here = f"http://127.0.0.1:{port}"
        yield delivery.model_copy(update={"url": here, "health_url": f"{here}/health"})
