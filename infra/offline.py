"""Runs a topology in process with a stand-in for the engine: what it would declare, without credentials or network.

For tests, prices and diagrams. Ids and ARNs are made up and look real; nothing is planned, validated or created.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import stack as engine
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs
from pulumi.runtime.sync_await import _sync_await

from infra import collector, topologies
from infra.delivery import outputs

if TYPE_CHECKING:
    from infra.config import StackConfig

ACCOUNT = "111122223333"
ZONES = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Declared:
    """One resource as the program registered it.

    Attributes:
        type: Pulumi's type token.
        parent: URN of its component.
        inputs: camelCase, as the engine sees them.
        depends_on: URNs.
    """

    type: str
    name: str
    urn: str
    parent: str
    inputs: Mapping[str, Any]
    protect: bool
    retain: bool
    ignored: tuple[str, ...]
    depends_on: tuple[str, ...]
    delete_before_replace: bool

    @property
    def custom(self) -> bool:
        """Whether a provider makes it; components only group."""
        return not self.type.startswith(("rag-platform:", "pulumi:providers:"))


@dataclass(frozen=True)
class Program:
    """What a run declared, and its Delivery as stack outputs."""

    resources: tuple[Declared, ...]
    outputs: Mapping[str, Any]

    def of(self, kind: str) -> list[Declared]:
        """Resources whose type ends in `kind`, e.g. `lb/listener:Listener`."""
        return [resource for resource in self.resources if resource.type.endswith(kind)]

    def one(self, kind: str, name: str = "") -> Declared:
        """The one resource of a kind whose name ends in `name`.

        Raises:
            LookupError: none or several.
        """
        found = [resource for resource in self.of(kind) if resource.name.endswith(name)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} resources of {kind} named *{name}: {[each.name for each in found]}")
        return found[0]


@dataclass
class _Answers(pulumi.runtime.Mocks):
    """Outputs that the program reads: ids, ARNs, addresses."""

    region: str

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        service = args.typ.split(":")[1].split("/")[0] if ":" in args.typ else args.typ
        made = {"arn": f"arn:aws:{service}:{self.region}:{ACCOUNT}:{args.name}", "name": args.name}
        return f"{args.name}-id", {**made, **args.inputs, **_computed(args, self.region)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        known: dict[str, dict[str, Any]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "arn": "", "userId": "", "id": ""},
            "aws:index/getAvailabilityZones:getAvailabilityZones": {
                "names": [f"{self.region}{letter}" for letter in ZONES],
                "zoneIds": [],
                "id": self.region,
            },
            "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-0cdn"},
            "aws:eks/getAddonVersion:getAddonVersion": {"version": "v1.0.0-eksbuild.1", "id": "addon", **args.args},
            "aws:lb/getHostedZoneId:getHostedZoneId": {"id": "Z0LB", "region": self.region},
            "aws:ssm/getParameter:getParameter": {"value": "ami-00000000000000000", **args.args},
            "aws:route53/getZone:getZone": {"zoneId": "Z00000000000000000000", "id": "Z0", **args.args},
        }
        return known[args.token], []


def made_up_token(name: str, inputs: Mapping[str, Any]) -> str:
    """A token as long as the real one, the same in every run."""
    return hashlib.shake_256(name.encode()).hexdigest(int(inputs.get("bytes") or 0))


def made_up_address(name: str) -> str:
    """A private address for an interface, the same in every run."""
    return f"10.20.0.{10 + hashlib.sha256(name.encode()).digest()[0] % 240}"


def _computed(args: MockResourceArgs, region: str) -> dict[str, Any]:
    """What the cloud would fill in, for the types whose computed outputs the program uses."""
    host = f"{args.name}.{region}.amazonaws.com"
    by_type: dict[str, dict[str, Any]] = {
        "aws:s3/bucket:Bucket": {"bucket": args.name, "bucketRegionalDomainName": f"{args.name}.s3.amazonaws.com"},
        "aws:lb/loadBalancer:LoadBalancer": {
            "dnsName": host,
            "arnSuffix": f"app/{args.name}/0123456789abcdef",
            "zoneId": "Z0LB",
        },
        "aws:lb/targetGroup:TargetGroup": {"arnSuffix": f"targetgroup/{args.name}/0123456789abcdef"},
        "aws:ecr/repository:Repository": {"repositoryUrl": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{args.name}"},
        "aws:apigateway/restApi:RestApi": {"executionArn": f"arn:aws:execute-api:{region}:{ACCOUNT}:{args.name}"},
        "aws:apigateway/stage:Stage": {"invokeUrl": f"https://{args.name}.execute-api.{region}.amazonaws.com/live"},
        "aws:apigateway/domainName:DomainName": {
            "regionalDomainName": f"{args.name}.execute-api.{region}.amazonaws.com",
            "regionalZoneId": "Z0API",
        },
        "aws:lambda/function:Function": {
            "version": "1",
            "qualifiedArn": f"arn:aws:lambda:{region}:{ACCOUNT}:function:{args.name}:1",
        },
        "aws:eks/cluster:Cluster": {
            "endpoint": f"https://0123456789ABCDEF.{region}.eks.amazonaws.com",
            "certificateAuthority": {"data": "LS0t"},
            "vpcConfig": {**(args.inputs.get("vpcConfig") or {}), "clusterSecurityGroupId": f"{args.name}-group"},
        },
        "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
        "aws:elasticache/replicationGroup:ReplicationGroup": {"primaryEndpointAddress": f"{args.name}.cache"},
        "aws:ec2/networkInterface:NetworkInterface": {"privateIp": made_up_address(args.name)},
        "aws:kms/key:Key": {"keyId": f"{args.name}-id"},
        "aws:acm/certificate:Certificate": {
            "domainValidationOptions": [
                {
                    "domainName": args.inputs.get("domainName"),
                    "resourceRecordName": "_proof.example.com",
                    "resourceRecordType": "CNAME",
                    "resourceRecordValue": "_proof.acm-validations.aws",
                }
            ]
        },
        "aws:cloudfront/distribution:Distribution": {
            "domainName": f"{args.name}.cloudfront.net",
            "hostedZoneId": "Z0CF",
        },
        "aws:route53/record:Record": {"fqdn": str(args.inputs.get("name"))},
        "kubernetes:networking.k8s.io/v1:Ingress": {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}},
        "pulumi-python:dynamic:Resource": {"value": made_up_token(args.name, args.inputs)},
    }
    return by_type.get(args.typ, {})


@dataclass
class _Monitor(MockMonitor):
    """Also keeps the options of each resource, which the stock one drops."""

    mocks: _Answers
    declared: list[Declared] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.mocks)

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - the engine's own protocol
        with _own_loop():
            answer: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
            self.declared.append(
                Declared(
                    type=request.type,
                    name=request.name,
                    urn=answer.urn,
                    parent=request.parent,
                    inputs=_plain(inputs),
                    protect=request.protect,
                    retain=request.retainOnDelete,
                    ignored=tuple(request.ignoreChanges),
                    depends_on=tuple(request.dependencies),
                    delete_before_replace=request.deleteBeforeReplace,
                )
            )
        return answer

    def Invoke(self, request: Any) -> Any:  # noqa: ANN401, N802 - the engine's own protocol
        with _own_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


@contextmanager
def _own_loop() -> Iterator[None]:
    """The stock monitor makes an event loop in each worker thread and never closes it."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _have_a_loop() -> None:
    """The SDK wants a current event loop, and `asyncio.run`, where anybody called it before, leaves none."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())


@contextmanager
def _pickler_as_it_was() -> Iterator[None]:
    """The SDK patches the pickler anew for each dynamic resource, a patch around the last, and takes none off."""
    pickler = pickle._Pickler  # noqa: SLF001 - the one that it patches
    kept = {name: vars(pickler)[name] for name in ("_batch_setitems", "save_dict")}
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(pickler, name, method)


def declare(cfg: StackConfig, *, name: str | None = None) -> Program:
    """Everything that the topology of `cfg` would declare."""

    def build() -> Mapping[str, Any]:
        built = topologies.load(cfg.topology)(name or f"rag-platform-{cfg.stack}", cfg)
        return outputs(built.delivery)

    return record(cfg, build)


def record(cfg: StackConfig, build: Callable[[], Mapping[str, Any]]) -> Program:
    """Everything that `build` declares, and the outputs that it returns."""
    _have_a_loop()
    answers = _Answers(cfg.region or "eu-north-1")
    monitor = _Monitor(answers)
    pulumi.runtime.set_mocks(answers, project="rag-platform", stack=cfg.stack, preview=False, monitor=monitor)
    exported: dict[str, Any] = {}

    async def program() -> None:
        exported.update(await pulumi.Output.from_input(build()).future() or {})

    with collector.paused(), _pickler_as_it_was():
        _sync_await(engine.run_pulumi_func(program))
    ordered = sorted(monitor.declared, key=lambda resource: (resource.type, resource.name))
    return Program(tuple(ordered), exported)


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything that the engine's protocol carries
    """Without the wrappers of secrets; an archive is the names of its files."""
    if isinstance(value, pulumi.AssetArchive):
        return {"archive": sorted(value.assets)}
    if pulumi.runtime.rpc.is_rpc_secret(value):
        return _plain(pulumi.runtime.rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
