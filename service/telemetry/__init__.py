"""What operators see of the service: metrics, logs, traces; nothing here changes an answer or holds one up.

A request is one `Exchange`. It is filled while the request runs and shown to every sink once, at its end.
"""

from service.telemetry.exchange import Exchange
from service.telemetry.telemetry import Telemetry

__all__ = ["Exchange", "Telemetry"]
