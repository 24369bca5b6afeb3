"""ECS: load balancer -> tasks in private subnets -> model endpoint, vector database, documents, cache.

Without `service.image` everything but the workload is built (the first phase of the bootstrap): network, repository,
secrets, buckets, roles, data stores and the front door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.components import api_keys, container, ecs_task, firewall, foundation, store_copies
from infra.components.cdn import Cdn, CdnArgs, edge_addresses
from infra.components.ecs_cluster import ClusterArgs, EcsCluster
from infra.components.ecs_service import EcsService, RolesArgs, ServiceArgs, TaskRoles
from infra.components.load_balancer import ANYWHERE, LoadBalancer, LoadBalancerArgs
from infra.components.observability.declared import Observability, ServiceAlarms
from infra.components.observability.watched import ecs_copies, load_balancer, watched
from infra.components.store_scripts import STORES
from infra.components.tls_dns import PublicName
from infra.delivery import Cluster, Delivery, Logs, Release, promises

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.service_environment import ServiceEnvironment


class EcsTopology(pulumi.ComponentResource):
    """The recommended topology.

    Attributes:
        delivery: what the stack hands to the world.
    """

    delivery: Delivery

    def __init__(self, name: str, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        cloud = foundation.provider(name, cfg)
        merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[cloud]))
        super().__init__("rag-platform:topology:Ecs", name, None, merged)
        self._name, self._cfg = name, cfg
        self._child = pulumi.ResourceOptions(parent=self)
        self._base = foundation.Foundation(name, cfg, foundation.site(cfg, cloud), opts=self._child)
        self._logs, self._sessions = self._base.log_group("service"), self._base.log_group("exec")
        self._front = self._front_door()
        self._group = self._task_group()
        self._environment = self._settings()
        self._roles = self._task_roles()
        self._cluster = self._make_cluster()
        alarms = self._alarms()
        self._service = self._workload(alarms) if cfg.service.image else None
        self._backups = self._save_stores() if cfg.service.image else None
        self._watch(alarms)
        self.delivery = self._deliver()
        self.register_outputs({"url": self.delivery.url})

    def _front_door(self) -> LoadBalancer:
        cfg, base = self._cfg, self._base
        public = PublicName(self._name, cfg.domain, opts=self._child) if cfg.domain else None
        args = LoadBalancerArgs(
            vpc_id=base.network.vpc_id,
            subnet_ids=base.network.public_subnet_ids,
            logs=base.log_bucket,
            certificate_arn=public.certificate_arn if public else None,
            cidrs=ANYWHERE if cfg.access.public_ingress else cfg.access.allowed_cidrs,
            prefix_list=edge_addresses(self) if cfg.cdn else None,
            target_port=container.PORT,
        )
        front = LoadBalancer(self._name, base.site, args, opts=self._child)
        self._certificate = args.certificate_arn
        if public:
            self._address(public, front)
        if (guard := base.firewall(self._child)) is not None:
            guard.guard(front.arn)
        return front

    def _address(self, public: PublicName, front: LoadBalancer) -> None:
        """Point the public name at the distribution where there is one, else at the load balancer."""
        cfg = self._cfg
        if not cfg.cdn or cfg.domain is None:
            public.alias(front.dns_name, front.zone_id)
            return
        args = CdnArgs(cfg.domain.name, public, front.dns_name, cfg.access.docs, foundation.cost_tags(cfg))
        near = Cdn(self._name, args, opts=self._child)
        public.alias(near.dns_name, near.zone_id)

    def _task_group(self) -> pulumi.Output[str]:
        name, base = self._name, self._base
        group = firewall.group(
            f"{name}-tasks", base.network.vpc_id, "Tasks: the load balancer in, named ports out", self
        )
        front = self._front.security_group_id
        firewall.connect(
            f"{name}-front-tasks",
            source=front,
            target=group,
            port=container.PORT,
            description="Load balancer to service",
            parent=self,
        )
        for near in base.neighbours():
            firewall.connect(
                f"{name}-tasks-{near.name}",
                source=group,
                target=near.security_group_id,
                port=near.port,
                description=near.description,
                parent=self,
            )
        firewall.out_to_internet(f"{name}-tasks", group, ecs_task.egress_ports(self._cfg), self)
        return group

    def _settings(self) -> ServiceEnvironment:
        return self._base.settings(
            host="0.0.0.0",  # noqa: S104 - inside the container; the security group decides who reaches it
            port=container.PORT,
            metrics_port=container.METRICS_PORT,
            release=self._cfg.service.image or "none",
            llamacpp_url=ecs_task.LLAMA_URL if ecs_task.has_sidecar(self._cfg) else None,
        )

    def _secret_arns(self) -> dict[str, pulumi.Output[str]]:
        """Environment name -> ARN."""
        return {name: self._base.vault.arns[key] for name, key in self._environment.secrets.items()}

    def _task_roles(self) -> TaskRoles:
        cfg, base = self._cfg, self._base
        args = RolesArgs(
            images=base.registry.arn,
            secrets=list(self._secret_arns().values()),
            # the key book is read by the service alone: ECS has no use for it
            own_secrets=[base.vault.arns[api_keys.BOOK]] if api_keys.BOOK in base.vault.arns else [],
            key_arn=base.key_arn,
            log_group_arn=self._logs.arn,
            runtime=[*base.invoke(), *base.switches.read],
            exec_log_group_arn=self._sessions.arn if cfg.ecs.exec else None,
        )
        return TaskRoles(self._name, base.site, args, opts=self._child)

    def _make_cluster(self) -> EcsCluster:
        cfg, base = self._cfg, self._base
        args = ClusterArgs(
            config=cfg.ecs,
            service=cfg.service,
            subnet_ids=base.network.private_subnet_ids,
            instance_group=self._group,
            key_arn=base.key_arn,
            exec_log_group=self._sessions.name,
        )
        return EcsCluster(self._name, base.site, args, opts=self._child)

    def _alarms(self) -> ServiceAlarms:
        front = load_balancer(self._front.arn_suffix, self._front.target_group_suffix)
        return ServiceAlarms(self._name, front, self._base.alerts, self._cfg.monitoring, opts=self._child)

    def _watch(self, alarms: ServiceAlarms) -> None:
        cfg, service, front = self._cfg, self._service, self._front
        copies = ecs_copies(self._cluster.cluster, service.service, cfg.service.replicas.max) if service else None
        seen = watched(
            cfg,
            load_balancer(front.arn_suffix, front.target_group_suffix),
            url=self._url(),
            secrets=self._base.vault.arns,
            log_group=self._logs.name,
            copies=copies,
            certificate_arn=self._certificate,
            backups=self._base.saved_volumes(),
            disks=self._base.disks(),
        )
        made = Observability(self._name, cfg, self._base, seen, alarms.arns, opts=self._child)
        self._dashboard_url = made.dashboard_url

    def _workload(self, alarms: ServiceAlarms) -> EcsService:
        cfg, base = self._cfg, self._base
        made = ecs_task.containers(cfg, self._environment.plain, self._secret_arns(), self._logs.name)
        args = ServiceArgs(
            cluster=self._cluster,
            front=self._front,
            roles=self._roles,
            containers=made,
            size=ecs_task.task_size(cfg),
            architecture=cfg.service.architecture,
            replicas=(cfg.service.replicas.min, cfg.service.replicas.max),
            scaling=cfg.scaling,
            subnet_ids=base.network.private_subnet_ids,
            security_group_id=self._group,
            alarms=alarms.names,
            fargate=cfg.ecs.capacity != "ec2",
            exec=cfg.ecs.exec,
            after=base.vault.filled,
        )
        return EcsService(self._name, base.site, args, opts=self._child)

    def _save_stores(self) -> dict[str, pulumi.Input[object]] | None:
        """How to copy a self-hosted store by hand, and where copies are; its volume is saved each night besides."""
        kinds, base = store_copies.kinds(self._cfg), self._base
        if not kinds:
            return None
        arns = [base.vault.arns[STORES[kind].credential] for kind in kinds]
        args = store_copies.CopiesArgs(arns, base.key_arn, base.log_bucket)
        made = store_copies.StoreCopies(self._name, base.site, args, opts=self._child)
        return {"stores": store_copies.on_one_host(self._cfg), "place": made.place, "role": made.role}

    def _url(self) -> pulumi.Input[str]:
        domain = self._cfg.domain
        return f"https://{domain.name}" if domain else pulumi.Output.concat("http://", self._front.dns_name)

    def _deliver(self) -> Delivery:
        cfg, base, service = self._cfg, self._base, self._service
        url = self._url()
        return Delivery(
            url=url,
            health_url=pulumi.Output.concat(url, "/health"),
            topology="ecs",
            region=cfg.region,
            release=Release(image=cfg.service.image, revision=service.revision if service else None),
            logs=Logs(kind="cloudwatch", group=self._logs.name),
            dashboard_url=self._dashboard_url,
            registry=base.registry.url,
            secrets=base.vault.arns,
            topics={"critical": base.alerts.pager, "warning": base.alerts.notices},
            jobs=self._jobs(),
            cluster=Cluster(name=self._cluster.cluster, service=service.service if service else None),
            endpoint=base.endpoint(),
            promises=promises(cfg),
            cost_tags=foundation.cost_tags(cfg),
        )

    def _jobs(self) -> dict[str, pulumi.Input[object]] | None:
        if self._service is None:
            return None
        return {
            "kind": "ecs-task",
            "cluster": self._cluster.cluster,
            "taskDefinition": self._service.revision,
            "container": container.NAME,
            "subnets": pulumi.Output.all(*self._base.network.private_subnet_ids).apply(list),
            "securityGroup": self._group,
            "command": ["python", "-m", "service.jobs.{job}"],
            "backups": self._backups,
        }
