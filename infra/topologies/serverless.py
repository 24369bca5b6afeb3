"""Lambda (`topology: lambda`): REST API -> function, asleep between requests -> model endpoint, vectors, documents.

Without something to run (`service.image`, or `lambda.artifact` of packaging zip) everything but the workload is built
(the first phase of the bootstrap); the API is part of the workload, since it names the function.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components import api_keys, ecs_task, firewall, foundation
from infra.components.api_document import Backend, allowed_from, gateway_document, streaming_uri
from infra.components.bucket import BucketArgs, PrivateBucket
from infra.components.function import Archive, Function, FunctionArgs, Image, Place
from infra.components.function_alarms import FunctionAlarmArgs, FunctionAlarms
from infra.components.gradual_rollout import GradualRollout, GradualRolloutArgs
from infra.components.observability.declared import Observability
from infra.components.observability.watched import rest_api, watched
from infra.components.rest_api import STAGE, RestApi, RestApiArgs
from infra.components.tls_dns import PublicName
from infra.delivery import Cluster, Delivery, Logs, Release, Rollout, promises
from infra.errors import ConfigErrors, Mistake
from infra.sizing import lambda_timeouts

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.service_environment import ServiceEnvironment

LOOPBACK, PORT = "127.0.0.1", 8000  # the adapter asks the service there
ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "openapi-3.0.json"
# What the Lambda Web Adapter is told (awslabs: configuration); the service reads none of it.
ADAPTER = {
    "AWS_LWA_INVOKE_MODE": "response_stream",
    "AWS_LWA_PORT": str(PORT),
    "AWS_LWA_READINESS_CHECK_PATH": "/readyz",
    "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200",
}
# Before a snapshot the service closes its connections, after each restore it opens them anew; the adapter asks for both
# there, and refuses these paths to everybody else.
ADAPTER_IN_ZIP = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
    "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH": "/snapstart/before",
    "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH": "/snapstart/after",
}
# A start that takes longer than Lambda's 10 s goes on in the first request instead of beginning anew; a snapshot is
# taken when the start has ended, and must not be early.
ADAPTER_IN_IMAGE = {"AWS_LWA_ASYNC_INIT": "true"}


class ServerlessTopology(pulumi.ComponentResource):
    """Pays by the request.

    Attributes:
        delivery: what the stack hands to the world.
    """

    delivery: Delivery

    def __init__(self, name: str, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        cloud = foundation.provider(name, cfg)
        merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[cloud]))
        super().__init__("rag-platform:topology:Serverless", name, None, merged)
        self._name, self._cfg = name, cfg
        self._child = pulumi.ResourceOptions(parent=self)
        self._base = foundation.Foundation(name, cfg, foundation.site(cfg, cloud), opts=self._child)
        self._logs = self._base.log_group("service")
        self._public = PublicName(name, cfg.domain, opts=self._child) if cfg.domain else None
        self._function: Function | None = None
        self._api: RestApi | None = None
        self._rollout: GradualRollout | None = None
        self._release: str | None = None
        self._dashboard_url: pulumi.Output[str] | None = None
        if cfg.has_workload:
            self._workload()
        self.delivery = self._deliver()
        self.register_outputs({"url": self.delivery.url})

    def _workload(self) -> None:
        cfg, base = self._cfg, self._base
        self._function = function = Function(self._name, base.site, self._function_args(), opts=self._child)
        self._api = api = self._front_door(function)
        args = FunctionAlarmArgs(
            api=api.name,
            stage=STAGE,
            function=function.name,
            alias=function.alias,
            reserved=cfg.lambda_.reserved_concurrency,
            alerts=base.alerts,
            config=cfg.monitoring,
        )
        alarms = FunctionAlarms(self._name, args, opts=self._child)
        certificate = self._public.certificate_arn if self._public else None
        seen = watched(
            cfg,
            rest_api(api.name, STAGE),
            url=api.url,
            secrets=base.vault.arns,
            log_group=self._logs.name,
            certificate_arn=certificate,
            backups=base.saved_volumes(),
            disks=base.disks(),
        )
        made = Observability(self._name, cfg, base, seen, alarms.arns, opts=self._child)
        self._dashboard_url = made.dashboard_url
        if cfg.lambda_.rollout != "all-at-once":
            pulumi.log.warn(
                f"lambda.rollout {cfg.lambda_.rollout}: a new version gets no request before "
                f"`opsctl deploy --stack {cfg.stack}` moves them",
                self,
            )
            moved = base.site.arn("lambda", pulumi.Output.concat("function:", function.name))
            gradual = GradualRolloutArgs(cfg.lambda_.rollout, moved, alarms.names)
            self._rollout = GradualRollout(self._name, base.site, gradual, opts=self._child)

    def _function_args(self) -> FunctionArgs:
        cfg, base = self._cfg, self._base
        code, environment = self._code(), self._settings()
        secrets = {key: base.vault.arns[key] for key in environment.secrets.values()}
        if api_keys.BOOK in base.vault.arns:
            secrets[api_keys.BOOK] = base.vault.arns[api_keys.BOOK]
        told: dict[str, pulumi.Input[str]] = {**environment.plain, **ADAPTER}
        told |= ADAPTER_IN_ZIP if isinstance(code, Archive) else ADAPTER_IN_IMAGE
        if environment.secrets:
            told["RAG_SECRETS_FROM"] = base.vault.references(environment.secrets)
        return FunctionArgs(
            code=code,
            config=cfg.lambda_,
            architecture=cfg.service.architecture,
            environment=told,
            secrets=list(secrets.values()),
            key_arn=base.key_arn,
            log_group=self._logs.name,
            log_group_arn=self._logs.arn,
            runtime=[*base.invoke(), *base.switches.read],
            place=self._place(),
            schedule=cfg.scaling.schedule,
            after=[*base.vault.filled, *self._pulled()],
        )

    def _pulled(self) -> list[pulumi.Resource]:
        base, packaging = self._base, self._cfg.lambda_.packaging
        return [base.registry.let_lambda_pull(base.site)] if packaging == "image" else []

    def _code(self) -> Image | Archive:
        cfg = self._cfg
        if cfg.lambda_.packaging == "image":
            self._release = cfg.service.image
            return Image(str(cfg.service.image))
        archive, digest = _artifact(str(cfg.lambda_.artifact))
        self._release = f"zip@sha256:{digest}"
        bucket = PrivateBucket(
            f"{self._name}-code",
            self._base.site,
            BucketArgs(key_arn=self._base.key_arn, log_bucket=self._base.log_bucket),
            opts=self._child,
        )
        kept = aws.s3.BucketObjectv2(
            f"{self._name}-code",
            bucket=bucket.bucket,
            key=f"{digest}.zip",
            source=pulumi.FileAsset(str(archive)),
            opts=pulumi.ResourceOptions(parent=bucket, depends_on=[bucket.ready]),
        )
        return Archive(bucket.bucket, kept.key)

    def _settings(self) -> ServiceEnvironment:
        return self._base.settings(
            host=LOOPBACK,
            port=PORT,
            metrics_port=0,  # nobody scrapes a function; its metrics are log lines
            release=str(self._release),
        )

    def _place(self) -> Place | None:
        """In the private subnets where something private must be reached."""
        name, cfg, base = self._name, self._cfg, self._base
        if not cfg.has_network:
            return None
        group = firewall.group(f"{name}-function", base.network.vpc_id, "Function: nothing in, named ports out", self)
        for near in base.neighbours():
            firewall.connect(
                f"{name}-function-{near.name}",
                source=group,
                target=near.security_group_id,
                port=near.port,
                description=near.description,
                parent=self,
            )
        firewall.out_to_internet(f"{name}-function", group, ecs_task.egress_ports(cfg), self)
        return Place(base.network.private_subnet_ids, group)

    def _front_door(self, function: Function) -> RestApi:
        cfg, base = self._cfg, self._base
        published, region = PUBLISHED.read_text(), base.site.region
        seconds = lambda_timeouts(cfg.service.deadline_seconds, cfg.lambda_.timeout_seconds).integration_s
        policy = None if cfg.access.public_ingress else allowed_from(cfg.access.allowed_cidrs)
        preflight, docs = bool(cfg.access.cors_origins), cfg.access.docs

        def document(alias_arn: str) -> str:
            backend = Backend(streaming_uri(region, alias_arn), seconds * 1000, preflight, docs)
            return gateway_document(published, backend, policy)

        args = RestApiArgs(
            document=function.alias_arn.apply(document),
            function=function.name,
            alias=function.alias,
            domain=cfg.domain.name if cfg.domain else None,
            public=self._public,
            config=cfg.lambda_,
            key_arn=base.key_arn,
            log_retention_days=cfg.monitoring.log_retention_days,
        )
        api = RestApi(self._name, base.site, args, opts=self._child)
        if (guard := base.firewall(self._child)) is not None:
            guard.guard(api.stage_arn)
        return api

    def _deliver(self) -> Delivery:
        cfg, base, function = self._cfg, self._base, self._function
        url = self._api.url if self._api else None
        return Delivery(
            url=url,
            health_url=pulumi.Output.concat(url, "/health") if url else None,
            topology="lambda",
            region=cfg.region,
            release=Release(image=self._release, revision=function.revision if function else None),
            logs=Logs(kind="cloudwatch", group=self._logs.name),
            dashboard_url=self._dashboard_url,
            registry=base.registry.url,
            secrets=base.vault.arns,
            topics={"critical": base.alerts.pager, "warning": base.alerts.notices},
            cluster=Cluster(name=function.name, service=function.alias) if function else None,
            rollout=Rollout(application=self._rollout.application, group=self._rollout.group)
            if self._rollout
            else None,
            endpoint=base.endpoint(),
            promises=promises(cfg),
            cost_tags=foundation.cost_tags(cfg),
        )


def _artifact(path: str) -> tuple[Path, str]:
    """The zip and the digest of its content.

    Raises:
        ConfigErrors: there is no such file.
    """
    file = Path(path) if Path(path).is_absolute() else ROOT / path
    if not file.is_file():
        fix = f"`opsctl image build --zip {path}` makes it, or `pulumi config set --path lambda.artifact <zip>`"
        raise ConfigErrors((Mistake("lambda.artifact", path, "there is no such file", fix),))
    with file.open("rb") as opened:
        return file, hashlib.file_digest(opened, "sha256").hexdigest()
