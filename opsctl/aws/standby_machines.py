"""Machines that rest, at AWS: those of a group, of a node group, and of self-hosted stores.

Each is a port `opsctl.standby.part.Part`.
"""

from __future__ import annotations

from dataclasses import dataclass

from opsctl.aws.session import client, translated
from opsctl.standby.part import Look

STOPPED = {"stopped", "stopping"}


@dataclass(frozen=True, slots=True)
class Instances:
    """Of an Auto Scaling group; ECS takes away those that run no task, once it may."""

    region: str | None
    group: str
    fewest: int
    name: str = "instances"

    def look(self) -> Look | None:
        """How few there may be.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(f"the group '{self.group}'"):
            found = client("autoscaling", self.region).describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        (group,) = found["AutoScalingGroups"]
        rests = group["MinSize"] == 0 and (self.fewest > 0 or group["DesiredCapacity"] == 0)
        return Look(f"{group['DesiredCapacity']} instances", rests, f"at least {self.fewest} instances")

    def rest(self) -> None:
        """None may stay; the capacity provider empties the group in some minutes."""
        self._least(0)

    def wake(self) -> None:
        """The fewest of the stack."""
        self._least(self.fewest)

    def _least(self, number: int) -> None:
        with translated(f"the group '{self.group}'", to="scale"):
            client("autoscaling", self.region).update_auto_scaling_group(
                AutoScalingGroupName=self.group, MinSize=number
            )


@dataclass(frozen=True, slots=True)
class StoreHosts:
    """Instances of self-hosted stores; their volumes and addresses stay."""

    region: str | None
    ids: tuple[str, ...]
    name: str = "store instances"

    def look(self) -> Look | None:
        """How many run.

        Raises:
            CloudRefused, TimedOut
        """
        with translated("the stores' instances"):
            found = client("ec2", self.region).describe_instances(InstanceIds=list(self.ids))
        states = [each["State"]["Name"] for group in found["Reservations"] for each in group["Instances"]]
        running = [state for state in states if state not in STOPPED]
        half = 0 < len(running) < len(states)
        return Look(f"{len(running)} of {len(states)} run", not running, f"{len(states)} run", half=half)

    def rest(self) -> None:
        """Stop them, and wait until they are."""
        with translated("the stores' instances", to="stop"):
            ec2 = client("ec2", self.region)
            ec2.stop_instances(InstanceIds=list(self.ids))
            ec2.get_waiter("instance_stopped").wait(InstanceIds=list(self.ids))

    def wake(self) -> None:
        """Start them, and wait until they run."""
        with translated("the stores' instances", to="start"):
            ec2 = client("ec2", self.region)
            ec2.start_instances(InstanceIds=list(self.ids))
            ec2.get_waiter("instance_running").wait(InstanceIds=list(self.ids))


@dataclass(frozen=True, slots=True)
class Nodes:
    """A managed node group; pods that find no node wait for one."""

    region: str | None
    cluster: str
    group: str
    fewest: int
    name: str = "nodes"

    def look(self) -> Look | None:
        """How many there should be.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(f"node group '{self.group}'"):
            found = client("eks", self.region).describe_nodegroup(clusterName=self.cluster, nodegroupName=self.group)
        wanted = int(found["nodegroup"]["scalingConfig"]["desiredSize"])
        return Look(f"{wanted} nodes", wanted == 0, f"{self.fewest} nodes")

    def rest(self) -> None:
        """None."""
        self._size(0)

    def wake(self) -> None:
        """The fewest of the stack."""
        self._size(self.fewest)

    def _size(self, number: int) -> None:
        with translated(f"node group '{self.group}'", to="scale"):
            client("eks", self.region).update_nodegroup_config(
                clusterName=self.cluster,
                nodegroupName=self.group,
                scalingConfig={"minSize": number, "desiredSize": number},
            )
