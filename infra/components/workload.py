"""The service on Kubernetes: pods behind a load balancer that is told of them, an autoscaler, and nothing open."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from infra.components import container
from infra.components.kube import ingress, network_policies, scaling, service_pod
from infra.components.kube.network_policies import Near
from infra.components.kube.objects import KubeObject, Manifest, described, selector

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.components.kube.ingress import FrontArgs
    from infra.config import StackConfig

NAME, JOB = service_pod.NAME, service_pod.JOB
ROLLOUT = pulumi.CustomTimeouts(create="30m", update="30m")  # ten pods, one after the other, each on a node that boots


@dataclass(frozen=True)
class WorkloadArgs:
    """What the service is built from.

    Attributes:
        cfg: the stack config.
        namespace: where it runs.
        environment: what the service is told, names of secrets and never their values.
        front: the load balancer before it.
        servers: what it connects to inside the network.
        internet: ports that it connects to outside.
        after: what must be there when its pods start: the secrets' values, the role, the load balancer's controller.
    """

    cfg: StackConfig
    namespace: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    front: FrontArgs
    servers: Sequence[Near]
    internet: Sequence[int]
    after: Sequence[pulumi.Resource]


class Workload(pulumi.ComponentResource):
    """The Deployment and what belongs to it; `pulumi up` fails where its new pods don't become available.

    Attributes:
        deployment: its name.
        service_account: what the role is bound to.
        revision: says which pods were asked for; each carries it as annotation `rag-platform/revision`.
        hostname: of the load balancer.
    """

    deployment: str
    service_account: str
    revision: pulumi.Output[str]
    hostname: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Workload", name, None, opts)
        self._name, self._args = name, args
        self.deployment = self.service_account = NAME
        settings = self._settings()
        deployment = self._deployment(settings)
        service = self._object(_service(args.namespace), after=[deployment])
        self._object(scaling.autoscaler(args.cfg, args.namespace, NAME), after=[deployment])
        # destroyed first, while the controller is there to take the load balancer away
        door = ingress.ingress(site, args.cfg, args.namespace, NAME, args.front)
        front = self._object(door, after=[service, *args.after])
        self.hostname = front.status.apply(lambda status: str(status["loadBalancer"]["ingress"][0]["hostname"]))
        self.register_outputs({"deployment": NAME, "revision": self.revision, "hostname": self.hostname})

    def _settings(self) -> pulumi.Output[str]:
        """The name of a ConfigMap that is never changed: other values are another one, so that pods are replaced."""
        args = self._args
        values = dict(sorted(args.environment.items()))
        called = pulumi.Output.json_dumps(values).apply(lambda text: f"{NAME}-{digest(text)}")
        made = described("v1", "ConfigMap", called, namespace=args.namespace, of=NAME, data=values, immutable=True)
        self._map = self._object(made)
        return called

    def _deployment(self, settings: pulumi.Output[str]) -> KubeObject:
        args = self._args
        before = [self._map, *self._guards(), *args.after]
        bare = service_pod.template(args.cfg, settings, "")
        self.revision = pulumi.Output.json_dumps(bare).apply(digest)
        spec: dict[str, Any] = {
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(NAME)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": service_pod.template(args.cfg, settings, self.revision),
        }
        notes = {"rag-platform/environment": args.cfg.environment}  # by which policies tell development apart
        made = described("apps/v1", "Deployment", NAME, namespace=args.namespace, of=NAME, annotations=notes, spec=spec)
        # no `replicas`: the autoscaler owns them
        return self._object(made, after=before, custom_timeouts=ROLLOUT)

    def _guards(self) -> list[KubeObject]:
        """What holds before the first pod is there."""
        args = self._args
        account = described(
            "v1", "ServiceAccount", NAME, namespace=args.namespace, of=NAME, automountServiceAccountToken=False
        )
        balancer = Near([network_policies.addresses(cidr) for cidr in args.front.subnet_cidrs], container.PORT)
        ways = network_policies.opened(
            NAME, args.namespace, clients=[balancer], servers=args.servers, internet=args.internet, aws=True
        )
        outward = network_policies.opened(JOB, args.namespace, servers=args.servers, internet=args.internet, aws=True)
        made = [self._object(each) for each in (account, ways, scaling.disruption_budget(args.namespace, NAME))]
        return [*made, self._object(outward, called="-jobs")]

    def _object(
        self, manifest: Manifest, after: Sequence[pulumi.Resource] = (), called: str = "", **more: object
    ) -> KubeObject:
        options = pulumi.ResourceOptions(parent=self, depends_on=list(after), **more)  # type: ignore[arg-type]
        return KubeObject(f"{self._name}-{manifest['kind'].lower()}{called}", manifest, options)


def digest(text: str) -> str:
    """Ten hex digits that differ where the text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _service(namespace: pulumi.Input[str]) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "selector": selector(NAME), "ports": ports}
    return described("v1", "Service", NAME, namespace=namespace, of=NAME, spec=spec)
