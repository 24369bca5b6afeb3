"""Where a stack can be looked at, as addresses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from infra.config import StackConfig
    from opsctl.stack import Delivery

OPIK = "https://www.comet.com/opik"


def links(delivery: Delivery, cfg: StackConfig, stack: str) -> dict[str, str]:
    """What -> address: the dashboard first, then the log, then the traces."""
    found: dict[str, str] = {}
    if delivery.dashboard_url:
        found["dashboard"] = delivery.dashboard_url
    if delivery.logs and delivery.logs.group and delivery.region:
        group = quote(quote(delivery.logs.group, safe=""), safe="").replace("%", "$")  # as the console spells it
        home = f"https://{delivery.region}.console.aws.amazon.com/cloudwatch/home?region={delivery.region}"
        found["log"] = f"{home}#logsV2:log-groups/log-group/{group}"
    if cfg.monitoring.opik:
        workspace = f"/{cfg.monitoring.opik_workspace}" if cfg.monitoring.opik_workspace else ""
        found["traces"] = f"{OPIK}{workspace}/projects?search=rag-platform-{stack.rpartition('/')[2]}"
    return found
