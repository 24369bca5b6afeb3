"""EKS: load balancer -> pods on nodes in private subnets -> model endpoint, vector database, documents, cache.

Without `service.image` everything but the workload is built (the first phase of the bootstrap): network, repository,
secrets, buckets, roles, data stores, the cluster and what runs in it for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components import api_keys, container, ecs_task, firewall, foundation
from infra.components.cdn import Cdn, CdnArgs, edge_addresses
from infra.components.eks.controllers import ControllersArgs, EksControllers
from infra.components.eks.identity import Account, bind, pod_role
from infra.components.eks.platform import PROVISIONERS, EksPlatform, PlatformArgs
from infra.components.kube import backups, network_policies, service_pod
from infra.components.kube.ingress import FrontArgs
from infra.components.kube.namespace import KubeNamespace
from infra.components.kube.network_policies import Near
from infra.components.kube.stores import KubeStores, KubeStoresArgs
from infra.components.load_balancer import ANYWHERE
from infra.components.observability.declared import Observability, ServiceAlarms
from infra.components.observability.metrics import saved
from infra.components.observability.watched import kube_copies, service_alone, watched
from infra.components.permissions import allow
from infra.components.store_scripts import STORES
from infra.components.tls_dns import PublicName
from infra.components.workload import Workload, WorkloadArgs
from infra.delivery import Cluster, Delivery, Logs, Release, promises
from infra.sizing import subnet_plan

if TYPE_CHECKING:
    from infra.components.data_stores import Stores
    from infra.components.permissions import Statement
    from infra.config import StackConfig
    from infra.service_environment import ServiceEnvironment


class EksTopology(pulumi.ComponentResource):
    """The same service on Kubernetes.

    Attributes:
        delivery: what the stack hands to the world.
    """

    delivery: Delivery
    _platform: EksPlatform
    _namespace: KubeNamespace
    _stores: KubeStores

    def __init__(self, name: str, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        cloud = foundation.provider(name, cfg)
        merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[cloud]))
        super().__init__("rag-platform:topology:Eks", name, None, merged)
        self._name, self._cfg = name, cfg
        self._child = pulumi.ResourceOptions(parent=self)
        where = foundation.site(cfg, cloud)
        self._base = foundation.Foundation(name, cfg, where, opts=self._child, stores=self._in_cluster)
        self._public = PublicName(name, cfg.domain, opts=self._child) if cfg.domain else None
        self._firewall = self._base.firewall(self._child)
        self._controllers = self._make_controllers()
        self._let_pods_reach_neighbours()
        self._bound = self._pods_identity()
        self._service = self._workload() if cfg.service.image else None
        self._backups = self._save_stores()
        self._watch()
        self.delivery = self._deliver()
        self.register_outputs({"url": self.delivery.url})

    def _in_cluster(self, base: foundation.Foundation) -> Stores:
        """The cluster, and the stores in it: they need key and network, and the vault needs their credentials."""
        self._logs = base.log_group("service")
        args = PlatformArgs(
            cfg=self._cfg,
            namespace=f"rag-{self._cfg.stack}",
            private_subnet_ids=base.network.private_subnet_ids,
            public_subnet_ids=base.network.public_subnet_ids,
            network=base.network,
            key_arn=base.key_arn,
            log_group=f"/rag/{self._cfg.stack}/service",
        )
        self._platform = EksPlatform(self._name, base.site, args, opts=self._child)
        self._kube = pulumi.ResourceOptions(parent=self, providers=[self._platform.kube])
        self._namespace = KubeNamespace(self._name, base.site, self._cfg, opts=self._kube)
        placed = KubeStoresArgs(self._namespace.namespace, base.key_arn, PROVISIONERS[self._cfg.eks.mode])
        self._stores = KubeStores(self._name, base.site, self._cfg, placed, opts=self._kube)
        return self._stores

    def _make_controllers(self) -> EksControllers | None:
        """Auto Mode has its own; so does a cluster whose platform team runs them."""
        cfg, cluster = self._cfg, self._platform.cluster
        if cfg.eks.mode == "auto" or cfg.eks.controller == "existing":
            return None
        args = ControllersArgs(
            cluster=cluster.cluster,
            named=cluster.name,
            version=cfg.eks.version,
            vpc_id=self._base.network.vpc_id,
            firewall_arn=self._firewall.arn if self._firewall else None,
        )
        return EksControllers(self._name, self._base.site, args, opts=self._kube)

    def _let_pods_reach_neighbours(self) -> None:
        """Pods have the cluster's security group, which lets everything out: network policies say what."""
        for near in self._base.neighbours():
            firewall.let_in(
                f"{self._name}-pods-{near.name}",
                source=self._platform.cluster.security_group_id,
                target=near.security_group_id,
                port=near.port,
                description=near.description,
                parent=self,
            )

    def _settings(self) -> ServiceEnvironment:
        return self._base.settings(
            host="0.0.0.0",  # noqa: S104 - inside the pod; the network policies decide who reaches it
            port=container.PORT,
            metrics_port=container.METRICS_PORT,
            release=self._cfg.service.image or "none",
            llamacpp_url=ecs_task.LLAMA_URL if ecs_task.has_sidecar(self._cfg) else None,
        )

    def _pods_identity(self) -> aws.eks.PodIdentityAssociation:
        """The role of the service's pods: its secrets, its switches, its model."""
        base, name = self._base, f"{self._name}-service"
        cluster = self._platform.cluster
        account = Account(cluster.name, f"rag-{self._cfg.stack}", service_pod.NAME)
        role = pod_role(
            name,
            base.site,
            account,
            description="What the service itself may do",
            statements=[*base.invoke(), *base.switches.read, *self._read_secrets()],
            parent=self,
        )
        return bind(name, account, cluster.cluster, role, self)

    def _read_secrets(self) -> list[Statement]:
        arns = self._base.vault.arns
        read = [*self._settings().secrets.values(), *([api_keys.BOOK] if api_keys.BOOK in arns else [])]
        if not read:
            return []
        return [
            allow(["secretsmanager:GetSecretValue"], [arns[key] for key in read]),
            allow(["kms:Decrypt"], [self._base.key_arn]),
        ]

    def _workload(self) -> Workload:
        cfg, base = self._cfg, self._base
        environment = self._settings()
        told = dict(environment.plain)
        if environment.secrets:
            told["RAG_SECRETS_FROM"] = base.vault.references(environment.secrets)
        args = WorkloadArgs(
            cfg=cfg,
            namespace=self._namespace.namespace,
            environment=told,
            front=self._front(),
            servers=self._servers(),
            internet=sorted(ecs_task.egress_ports(cfg)),
            after=[*base.vault.filled, self._bound, *(self._controllers.ready if self._controllers else [])],
        )
        made = Workload(self._name, base.site, args, opts=self._kube)
        if self._public is not None:
            self._address(self._public, made.hostname)
        return made

    def _watch(self) -> None:
        """The controller makes the load balancer, so its name is not known here: the service speaks for itself."""
        cfg, base = self._cfg, self._base
        front = service_alone(f"rag-platform/{cfg.stack}")
        certificate = self._public.certificate_arn if self._public else None
        alarms = ServiceAlarms(self._name, front, base.alerts, cfg.monitoring, opts=self._child)
        most, cluster = cfg.service.replicas.max, self._platform.cluster.cluster
        copies = kube_copies(cluster, f"rag-{cfg.stack}", self._service.deployment, most) if self._service else None
        seen = watched(
            cfg,
            front,
            url=self._url(),
            secrets=base.vault.arns,
            log_group=self._logs.name,
            copies=copies,
            certificate_arn=certificate,
            backups={kind: saved(front.requests.namespace, kind) for kind in backups.kinds(cfg)},
            disks=self._base.disks(),
        )
        made = Observability(self._name, cfg, base, seen, alarms.arns, opts=self._child)
        self._dashboard_url = made.dashboard_url

    def _save_stores(self) -> dict[str, pulumi.Input[object]] | None:
        """Copies of the self-hosted stores, each night; how to make and find one."""
        base, cluster, saved = self._base, self._platform.cluster, backups.kinds(self._cfg)
        if not saved:
            return None
        arns = {backups.CREDENTIALS[kind]: base.vault.arns[STORES[kind].credential] for kind in saved}
        args = backups.BackupArgs(
            namespace=self._namespace.namespace,
            cluster_name=cluster.name,
            cluster=cluster.cluster,
            secrets=arns,
            near=[self._stores.near[kind] for kind in saved],
            key_arn=base.key_arn,
            log_bucket=base.log_bucket,
            after=base.vault.filled,
        )
        made = backups.KubeBackups(self._name, base.site, self._cfg, args, opts=self._kube)
        return {"stores": saved, "place": made.place}

    def _front(self) -> FrontArgs:
        cfg, base = self._cfg, self._base
        return FrontArgs(
            subnet_ids=base.network.public_subnet_ids,
            subnet_cidrs=subnet_plan(cfg.network.cidr, cfg.network.zones).public,
            log_bucket=base.log_bucket.bucket,
            certificate_arn=self._public.certificate_arn if self._public else None,
            waf_arn=self._firewall.arn if self._firewall else None,
            cidrs=ANYWHERE if cfg.access.public_ingress else cfg.access.allowed_cidrs,
            prefix_list=edge_addresses(self) if cfg.cdn else None,
        )

    def _servers(self) -> list[Near]:
        """What the pods connect to inside the network."""
        private = subnet_plan(self._cfg.network.cidr, self._cfg.network.zones).private
        peers = [network_policies.addresses(cidr) for cidr in private]
        outside = [Near(peers, near.port) for near in self._base.neighbours()]
        return [*self._stores.near.values(), *outside]

    def _address(self, public: PublicName, front: pulumi.Output[str]) -> None:
        """Point the public name at the distribution where there is one, else at the load balancer."""
        cfg = self._cfg
        if not cfg.cdn or cfg.domain is None:
            zone = aws.lb.get_hosted_zone_id_output(opts=pulumi.InvokeOptions(parent=self))
            public.alias(front, zone.id)
            return
        args = CdnArgs(cfg.domain.name, public, front, cfg.access.docs, foundation.cost_tags(cfg))
        near = Cdn(self._name, args, opts=self._child)
        public.alias(near.dns_name, near.zone_id)

    def _deliver(self) -> Delivery:
        cfg, base, service = self._cfg, self._base, self._service
        url = self._url()
        return Delivery(
            url=url,
            health_url=pulumi.Output.concat(url, "/health") if url is not None else None,
            topology="eks",
            region=cfg.region,
            release=Release(image=cfg.service.image, revision=service.revision if service else None),
            logs=Logs(kind="cloudwatch", group=self._logs.name),
            dashboard_url=self._dashboard_url,
            registry=base.registry.url,
            secrets=base.vault.arns,
            topics={"critical": base.alerts.pager, "warning": base.alerts.notices},
            jobs=self._jobs(),
            cluster=Cluster(
                name=self._platform.cluster.cluster,
                service=f"rag-{cfg.stack}/{service.deployment}" if service else None,
            ),
            endpoint=base.endpoint(),
            promises=promises(cfg),
            cost_tags=foundation.cost_tags(cfg),
        )

    def _url(self) -> pulumi.Input[str] | None:
        """Without a domain the load balancer's own name: there once the workload is."""
        if self._cfg.domain:
            return f"https://{self._cfg.domain.name}"
        return pulumi.Output.concat("http://", self._service.hostname) if self._service else None

    def _jobs(self) -> dict[str, pulumi.Input[object]] | None:
        if self._service is None:
            return None
        return {
            "kind": "kubernetes-job",
            "cluster": self._platform.cluster.cluster,
            "namespace": self._namespace.namespace,
            "deployment": self._service.deployment,
            "container": service_pod.NAME,
            "podLabel": service_pod.JOB,
            "command": ["python", "-m", "service.jobs.{job}"],
            "backups": self._backups,
        }
