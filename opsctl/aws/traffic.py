"""CodeDeploy's shifts of a function's alias from one version to another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from opsctl.aws.session import client, translated
from opsctl.deploy.shift import Shift

AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
GOING_ON = {"Created", "Queued", "InProgress", "Baking", "Ready"}


@dataclass(frozen=True, slots=True)
class ShiftsAtAws:
    """Port `opsctl.deploy.shift.Shifts`."""

    application: str
    group: str
    codedeploy: Any

    @classmethod
    def open(cls, region: str | None, application: str, group: str) -> Self:
        """Through a client of its own."""
        return cls(application, group, client("codedeploy", region))

    def newest(self) -> Shift | None:
        with translated(f"rollouts of '{self.application}'"):
            group = self.codedeploy.get_deployment_group(
                applicationName=self.application, deploymentGroupName=self.group
            )["deploymentGroupInfo"]
            last = group.get("lastAttemptedDeployment")
            if not last:
                return None
            made = self._deployment(last["deploymentId"])
            triggering = (made.get("rollbackInfo") or {}).get("rollbackTriggeringDeploymentId")
            failed = self._deployment(triggering) if triggering else made
        done = made["status"] == "Succeeded" and not triggering
        return Shift(
            id=made["deploymentId"],
            target=_target(made),
            going_on=made["status"] in GOING_ON,
            undone=None if done or made["status"] in GOING_ON else _reason(failed),
        )

    def start(self, function: str, alias: str, current: str, target: str, *, at_once: bool) -> str:
        spec = {
            "version": 0.0,
            "Resources": [
                {
                    "function": {
                        "Type": "AWS::Lambda::Function",
                        "Properties": {
                            "Name": function,
                            "Alias": alias,
                            "CurrentVersion": current,
                            "TargetVersion": target,
                        },
                    }
                }
            ],
        }
        # a way back must not be stopped by the alarms that it is taken for
        hurried = {
            "deploymentConfigName": AT_ONCE,
            "overrideAlarmConfiguration": {"enabled": False, "ignorePollAlarmFailure": True, "alarms": []},
        }
        with translated(f"a rollout of '{self.application}'", to="start"):
            started = self.codedeploy.create_deployment(
                applicationName=self.application,
                deploymentGroupName=self.group,
                revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}},
                description=f"{function} {current} -> {target}",
                **(hurried if at_once else {}),
            )
        return str(started["deploymentId"])

    def stop(self, shift: str) -> None:
        with translated(f"the rollout {shift}", to="stop"):
            self.codedeploy.stop_deployment(deploymentId=shift, autoRollbackEnabled=True)

    def _deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.codedeploy.get_deployment(deploymentId=name)["deploymentInfo"]
        return found


def _target(made: dict[str, Any]) -> str | None:
    """The version that it moves the alias to; None where AWS keeps the document no longer."""
    revision = made.get("revision") or {}
    content = (revision.get("appSpecContent") or revision.get("string") or {}).get("content")
    if not content:
        return None
    (resource,) = json.loads(content)["Resources"][0].values()
    return str(resource["Properties"]["TargetVersion"])


def _reason(failed: dict[str, Any]) -> str:
    told = failed.get("errorInformation") or {}
    return ": ".join(each for each in (told.get("code"), told.get("message")) if each) or failed["status"]
