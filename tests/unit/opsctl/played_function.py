"""A Lambda function behind an alias and CodeDeploy's shifts of it, played over HTTP as AWS's two APIs spell them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsctl.aws.function import NO_WARM
from tests.unit.opsctl.conftest import Reply

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService

NAME, ALIAS = "rag", "live"
ARN = f"arn:aws:lambda:eu-north-1:123456789012:function:{NAME}"
APPLICATION, GROUP = "rag-rollout", "live"
REFUSED = {"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated"}


def image(version: str) -> str:
    return f"r/rag-{version}"


@dataclass
class PlayedFunction:
    """What answers, and how the next shift ends; `looks` says how often a shift is seen going on before it ends."""

    service: PlayedService
    answers: str = "1"
    ends_as: str = "Succeeded"
    looks: int = 1
    weights: dict[str, float] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=lambda: {"State": "Active"})
    warm: dict[str, Any] | None = None
    shifts: list[dict[str, Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        functions = f"/2015-03-31/functions/{NAME}"
        self.service.answers[f"{functions}/aliases/{ALIAS}"] = lambda _: Reply(
            body={"FunctionVersion": self.answers, "RoutingConfig": {"AdditionalVersionWeights": self.weights}}
        )
        for version in map(str, range(1, 10)):
            self.service.answers[f"{functions}?Qualifier={version}"] = self._version(version)
        self.service.answers[f"/2019-09-30/functions/{NAME}/provisioned-concurrency?Qualifier={ALIAS}"] = lambda _: (
            Reply(body=self.warm) if self.warm else Reply(404, {"__type": NO_WARM, "message": "none"})
        )
        self.service.answers["/"] = self._codedeploy

    def _version(self, version: str) -> Any:
        made = {"FunctionArn": f"{ARN}:{version}", "Version": version, "PackageType": "Image", **self.state}
        return lambda _: Reply(body={"Configuration": {**made, **self.state}, "Code": {"ImageUri": image(version)}})

    def _codedeploy(self, body: dict[str, Any]) -> Reply:
        if "revision" in body:
            return Reply(body={"deploymentId": self._start(body)})
        if "autoRollbackEnabled" in body:
            self.shifts[-1]["status"] = "Stopped"
            return Reply(body={"status": "Succeeded"})
        if "deploymentId" in body:
            (found,) = [each for each in self.shifts if each["deploymentId"] == body["deploymentId"]]
            return Reply(body={"deploymentInfo": found})
        self._look()
        last = {"lastAttemptedDeployment": {"deploymentId": self.shifts[-1]["deploymentId"]}} if self.shifts else {}
        return Reply(body={"deploymentGroupInfo": last})

    def _start(self, body: dict[str, Any]) -> str:
        self.started.append(body)
        made = {"deploymentId": f"d-{len(self.shifts) + 1}", "status": "InProgress", "revision": body["revision"]}
        self.shifts.append(made)
        return made["deploymentId"]

    def _look(self) -> None:
        """Time passes while somebody looks."""
        if not self.shifts or self.shifts[-1]["status"] != "InProgress":
            return
        self.looks -= 1
        if self.looks >= 0:
            return
        shift = self.shifts[-1]
        shift["status"] = self.ends_as
        if self.ends_as == "Succeeded":
            self.answers = self.target(shift)
        else:
            shift["errorInformation"] = REFUSED

    @staticmethod
    def target(shift: dict[str, Any]) -> str:
        content = json.loads(shift["revision"]["appSpecContent"]["content"])
        return str(content["Resources"][0]["function"]["Properties"]["TargetVersion"])
