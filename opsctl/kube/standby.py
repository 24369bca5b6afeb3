"""Parts that rest, on Kubernetes: the pods of a Deployment or a StatefulSet. Ports `opsctl.standby.part.Part`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsctl.kube.session import api, translated
from opsctl.standby.part import Look

if TYPE_CHECKING:
    from opsctl.kube.session import Apis

LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class Pods:
    """Those of one Deployment or StatefulSet; an autoscaler leaves one alone that has none.

    Attributes:
        kind: `deployment` or `stateful_set`, as the client spells it.
        awake: how many there are otherwise.
    """

    region: str | None
    cluster: str
    namespace: str
    kind: str
    of: str
    awake: int
    name: str

    def look(self) -> Look | None:
        """How many there should be.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(self._what), api(self.region, self.cluster) as apis:
            scale = self._call(apis, "read")()
        wanted = int(scale.spec.replicas or 0)
        return Look(f"{wanted} pods", wanted == 0, f"{self.awake} pods")

    def rest(self) -> None:
        """None."""
        self._scale(0)

    def wake(self) -> None:
        """As many as the stack says."""
        self._scale(self.awake)

    def _scale(self, number: int) -> None:
        with translated(self._what), api(self.region, self.cluster) as apis:
            self._call(apis, "patch")(body={"spec": {"replicas": number}})

    def _call(self, apis: Apis, verb: str) -> Any:  # noqa: ANN401 - the client carries no types
        call = getattr(apis.apps, f"{verb}_namespaced_{self.kind}_scale")

        def made(**more: object) -> Any:  # noqa: ANN401 - as above
            return call(self.of, self.namespace, _request_timeout=LIMIT_S, **more)

        return made

    @property
    def _what(self) -> str:
        return f"the pods of '{self.namespace}/{self.of}'"
