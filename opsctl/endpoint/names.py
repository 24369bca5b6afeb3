"""Names of the objects of an endpoint. Pure.

What SageMaker can't change is named by a hash of what it is, so that the same spec is the same name and a changed one
stands beside the old. What is changed in place has one name for the endpoint's whole life.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from opsctl.errors import NotUsable

HASH_CHARS = 10
LONGEST = 63  # SageMaker's names
VARIANT = "main"
STACK_TAG = "rag-platform:stack"
ENDPOINT_TAG = "rag-platform:endpoint"
LEGAL = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def fingerprint(document: object) -> str:
    """The hash of a JSON document; the order of its keys doesn't matter."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARS]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the parts of one endpoint.

    Raises:
        NotUsable: SageMaker would refuse the endpoint's name, or that of a part.
    """

    endpoint: str

    def __post_init__(self) -> None:
        longest = LONGEST - HASH_CHARS - 1
        if len(self.endpoint) > longest or not LEGAL.fullmatch(self.endpoint):
            raise NotUsable(
                f"'{self.endpoint}' can't name an endpoint",
                next_step=f"use letters, digits and inner hyphens, at most {longest}: the names of its parts carry it",
            )

    def hashed(self, document: object) -> str:
        """The name of a model or an endpoint config that is made from `document`."""
        return f"{self.endpoint}-{fingerprint(document)}"

    def is_hashed(self, name: str) -> bool:
        """Whether a name is one that `hashed` gives for this endpoint, and not for one whose name begins alike."""
        return re.fullmatch(rf"{re.escape(self.endpoint)}-[0-9a-f]{{{HASH_CHARS}}}", name) is not None

    @property
    def component(self) -> str:
        """The inference component: the service calls it by name, so it doesn't change with the model."""
        return f"{self.endpoint}-main"

    @property
    def errors_alarm(self) -> str:
        """The model answers with errors."""
        return f"{self.endpoint}-endpoint-5xx"

    @property
    def latency_alarm(self) -> str:
        """The model is slow."""
        return f"{self.endpoint}-endpoint-latency"

    @property
    def wake_alarm(self) -> str:
        """Somebody asked while no copy ran."""
        return f"{self.endpoint}-endpoint-no-capacity"

    @property
    def alarms(self) -> tuple[str, ...]:
        """All that an endpoint of either shape may have."""
        return (self.errors_alarm, self.latency_alarm, self.wake_alarm)

    @property
    def load_policy(self) -> str:
        """Follows the load."""
        return f"{self.endpoint}-load"

    @property
    def wake_policy(self) -> str:
        """From no copy to one, which following the load can't do."""
        return f"{self.endpoint}-wake"

    @property
    def journal_key(self) -> str:
        """Where the stack's bucket keeps the journal."""
        return f"endpoints/{self.endpoint}/journal.json"
