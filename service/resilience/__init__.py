"""What keeps a fault small: time limits as values, few retries, breakers, a bound on requests in flight, switches.

Nothing here knows a vendor; nothing here is global: every object belongs to one app.
"""

from service.resilience.admission import Admission
from service.resilience.breaker import Breaker, Breakers
from service.resilience.deadline import Deadline, Waits, within
from service.resilience.retry import tried
from service.resilience.switches import Switches, SwitchSource

__all__ = [
    "Admission",
    "Breaker",
    "Breakers",
    "Deadline",
    "SwitchSource",
    "Switches",
    "Waits",
    "tried",
    "within",
]
