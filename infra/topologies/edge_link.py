"""What ties an edge to the cloud half: private files on its host, names in an environment, a program that pulls.

Without a cloud half: the key of the fallback's service at most.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from infra.edge.files import EdgeFiles
from infra.edge.shared_config import PROFILE, Role, aws_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.components.edge_cloud import EdgeCloud
    from infra.config import StackConfig
    from infra.edge.service import ProgramArgs, ServiceArgs

FALLBACK_KEY = "fallbackApiKey"
AWS_CONFIG = "aws-{digest}.config"  # another role is another name, and so another start of the programs
SYNC_STOP_S = 10  # a pull that is cut goes on where it stopped

Values = dict[str, "pulumi.Input[str]"]


@dataclass(frozen=True, slots=True)
class Place:
    """One edge and its folders.

    Attributes:
        host: its entry in `hybrid.edge.hosts`.
        name: in metrics.
        folder: of private files, as `EdgeFiles` takes it.
        bundles: the home of its bundles, from where the programs run.
        inside: `folder` from there, where it is another.
    """

    host: str
    name: str
    folder: str
    bundles: pulumi.Input[str]
    inside: str | None = None

    @property
    def seen(self) -> str:
        """`folder` from where the programs run."""
        return self.inside or self.folder


@dataclass(frozen=True, slots=True)
class EdgeLink:
    """What is added to the programs of one edge; `after` are resources that must be there first."""

    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    sync: ProgramArgs | None = None
    after: tuple[pulumi.Resource, ...] = ()

    def linked(self, args: ServiceArgs) -> ServiceArgs:
        """The edge's programs with what ties them to the cloud."""
        programs: list[ProgramArgs] = [
            {**program, "environment": {**program["environment"], **self.environment}}
            if program["name"] == "service"
            else program
            for program in args["programs"]
        ]
        return {**args, "programs": [*programs, *([self.sync] if self.sync else [])]}


def link(name: str, cfg: StackConfig, cloud: EdgeCloud | None, place: Place, parent: pulumi.Resource) -> EdgeLink:
    """Declare the private files of one edge, and say what its programs are told."""
    private: Values = {}
    told: Values = {}
    aws: Values = {}
    if key := _fallback_key(cfg):
        told["RAG_FALLBACK_API_KEY_FROM"] = cloud.secrets[FALLBACK_KEY] if cloud else f"{place.seen}/{FALLBACK_KEY}"
        private |= {} if cloud else {FALLBACK_KEY: key}
    config = _aws_config(cfg, cloud, place) if cloud else None
    if cloud and config:
        told |= {"RAG_METRICS_PUSH": cloud.namespace, "RAG_HOST_NAME": place.name}
        aws = {"AWS_CONFIG_FILE": config.apply(lambda text: f"{place.seen}/{_named(text)}"), "AWS_PROFILE": PROFILE}
    if not private and config is None:
        return EdgeLink(told)
    files = EdgeFiles(
        f"{name}-files",
        {"host": place.host, "folder": place.folder, "files": _files(private, config)},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return EdgeLink(told | aws, _sync(cfg, cloud, place, aws) if cloud else None, (files,))


def _fallback_key(cfg: StackConfig) -> pulumi.Output[str] | None:
    key = cfg.secrets.fallback_api_key if cfg.hybrid.fallback.kind == "service" else None
    return pulumi.Output.secret(key.get_secret_value()) if key else None


def _aws_config(cfg: StackConfig, cloud: EdgeCloud, place: Place) -> pulumi.Output[str]:
    made = cloud.identity
    session = f"{cfg.stack}-{place.name}"

    def text(arns: list[str | None]) -> str:
        role = Role(str(arns[0]), arns[1], arns[2])
        return aws_config(cfg.hybrid.edge.identity, role, region=str(cfg.region), session=session)

    return pulumi.Output.all(made.role_arn, made.anchor_arn, made.profile_arn).apply(text)


def _files(private: Values, config: pulumi.Output[str] | None) -> pulumi.Output[dict[str, str]]:
    def named(told: dict[str, str]) -> dict[str, str]:
        text = told.pop("", None)
        return told | ({_named(text): text} if text is not None else {})

    return pulumi.Output.all(**private, **({"": config} if config is not None else {})).apply(named)


def _named(text: str) -> str:
    return AWS_CONFIG.format(digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _sync(cfg: StackConfig, cloud: EdgeCloud, place: Place, aws: Values) -> ProgramArgs | None:
    if cloud.bundle is None:
        return None
    options: Values = {
        "--home": place.bundles,
        "--bucket": cloud.bundle.bucket,
        "--prefix": cloud.bundle.prefix,
        "--region": str(cfg.region),
        "--min-recall": f"{cfg.hybrid.index.min_recall:g}",
        "--every-s": str(cfg.hybrid.bundle.check_minutes * 60),
    }
    return {
        "name": "sync",
        "args": ["-m", "service.jobs.sync_bundle", *(word for pair in options.items() for word in pair)],
        "environment": aws,
        "stopWaitS": SYNC_STOP_S,
        "fix": "see hybrid.bundle and hybrid.edge.identity in the stack config, then `pulumi up`",
    }
