"""Every key of the stack config: what changing it alone does to the declared resources.

The golden file says it key by key, so that a key without effect, or with one too many, shows in review.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import offline
from infra.config import StackConfig, parse
from tests.infra.cloud_cases import hold_to_golden, merged, second_phase, stack_file
from tests.infra.config_keys import keys

OTHERS = ("eks", "lambda", "hybrid")  # blocks of other topologies: validated and ignored
ONE_LARGE = {"capacity": "ec2", "instanceType": "t3.large"}
OIDC = {"issuer": "https://id.example.com", "audience": "rag"}
OPIK = {"monitoring": {"opik": True}, "secrets": {"opikApiKey": {"secure": "planted-opik"}}}
PRICED = {"generation": {"usdPerMtok": {"input": 0.5, "output": 1}}}
LLAMA = "registry.example.com/llama@sha256:"
MIRROR = "registry.example.com/"
SIDECAR = {
    "service": {"cpu": 4, "memoryGiB": 8},
    "generation": {"provider": "llamacpp", "model": "/models/small.gguf", "llamacpp": {"image": LLAMA + "2" * 64}},
}
# key -> another legal value; a dict is laid over the config where one key alone would not be legal
EXAMPLES: dict[str, Any] = {
    "environment": "development",
    "service.image": "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:" + "1" * 64,
    "service.cpu": 1,
    "service.memoryGiB": 8,
    "service.architecture": "arm64",
    "service.replicas.min": 3,
    "service.replicas.max": 8,
    "service.deadlineSeconds": 20,
    "service.maxInFlight": 8,
    "scaling.cpuPercent": 60,
    "scaling.memoryPercent": 60,
    "scaling.requestsPerMinute": 500,
    "scaling.schedule.down": "0 21 ? * * *",
    "scaling.schedule.up": "0 6 ? * * *",
    "scaling.schedule.timezone": "Europe/Stockholm",
    "scaling.schedule.min": 1,
    "domain.name": "ask.example.com",
    "domain.zone": {"domain": {"name": "api.example.org", "zone": "example.org"}},
    "access.auth": {"access": {"auth": "oidc", "oidc": OIDC}},
    "access.keys.<name>.requestsPerMinute": {"access": {"keys": {"default": {"requestsPerMinute": 600}}}},
    "access.keys.<name>.usdPerHour": {"access": {"keys": {"default": {"usdPerHour": 1.5}}}},
    "access.keys.<name>.revision": {"access": {"keys": {"default": {"revision": 2}}}},
    "access.oidc.issuer": {"access": {"oidc": {"issuer": "https://other.example.com"}}},
    "access.oidc.audience": {"access": {"oidc": {"audience": "other"}}},
    "access.requestsPerMinute": 30,
    "access.usdPerHour": 2,
    "access.corsOrigins": ["https://chat.example.com"],
    "access.waf": False,
    "access.wafRequestsPer5Minutes": 500,
    "access.docs": True,
    "access.publicIngress": {"access": {"publicIngress": False, "allowedCidrs": ["198.51.100.0/24"]}},
    "access.allowedCidrs": {"access": {"publicIngress": False, "allowedCidrs": ["203.0.113.0/24"]}},
    "access.insecureHttp": {"environment": "development", "access": {"insecureHttp": True}},
    "generation.provider": "openai",
    "generation.endpoint": "other",
    "generation.model": "acme/Other-8B",
    "generation.instanceType": "ml.g6.2xlarge",
    "generation.engine": "tgi",
    "generation.quantization": "fp8",
    "generation.scaling.min": 0,
    "generation.scaling.max": 3,
    "generation.contextTokens": 2048,
    "generation.maxOutputTokens": 256,
    "generation.usdPerMtok.input": {"generation": {"usdPerMtok": {"input": 2}}},
    "generation.usdPerMtok.output": {"generation": {"usdPerMtok": {"output": 3}}},
    "generation.llamacpp.image": {"generation": {"llamacpp": {"image": LLAMA + "3" * 64}}},
    "generation.llamacpp.cpu": {"generation": {"llamacpp": {"cpu": 1.5}}},
    "generation.llamacpp.memoryGiB": {"generation": {"llamacpp": {"memoryGiB": 2.5}}},
    "queryModel.provider": "none",
    "queryModel.model": "gpt-4.1-mini",
    "queryModel.usdPerMtok.input": {"queryModel": {"usdPerMtok": {"input": 2}}},
    "queryModel.usdPerMtok.output": {"queryModel": {"usdPerMtok": {"output": 3}}},
    "retrieval.qdrant": "self-hosted",
    "retrieval.url": "https://other.example.com",
    "retrieval.collections": ["posts"],
    "retrieval.topK": 5,
    "retrieval.reranker": "none",
    "retrieval.selfHosted.instanceType": {"retrieval": {"selfHosted": {"instanceType": "t3.large"}}},
    "retrieval.selfHosted.diskGiB": {"retrieval": {"selfHosted": {"diskGiB": 100}}},
    "retrieval.selfHosted.image": {"retrieval": {"selfHosted": {"image": MIRROR + "qdrant@sha256:" + "5" * 64}}},
    "retrieval.selfHosted.instances": {"retrieval": {"selfHosted": {"instances": 2}}},
    "retrieval.selfHosted.replicas": {"retrieval": {"selfHosted": {"instances": 2, "replicas": 2}}},
    "retrieval.selfHosted.shards": {"retrieval": {"selfHosted": {"shards": 2}}},
    "documents.mongo": "none",
    "documents.database": "other",
    "documents.selfHosted.instanceType": {"documents": {"selfHosted": {"instanceType": "t3.large"}}},
    "documents.selfHosted.diskGiB": {"documents": {"selfHosted": {"diskGiB": 100}}},
    "documents.selfHosted.image": {"documents": {"selfHosted": {"image": MIRROR + "mongo@sha256:" + "5" * 64}}},
    "cache.redis": "none",
    "cache.ttlSeconds": 60,
    "cache.nodeType": "cache.t4g.small",
    "cache.nodes": 1,
    "cache.selfHosted.instanceType": {"cache": {"selfHosted": {"instanceType": "t3.medium"}}},
    "cache.selfHosted.diskGiB": {"cache": {"selfHosted": {"diskGiB": 16}}},
    "cache.selfHosted.image": {"cache": {"selfHosted": {"image": MIRROR + "redis@sha256:" + "5" * 64}}},
    "network.cidr": "10.40.0.0/16",
    "network.zones": 2,
    "network.nat": "single",
    "network.flowLogs": False,
    "network.interfaceEndpoints": ["secretsmanager"],
    "monitoring.errorRatePercent": 2,
    "monitoring.p95Seconds": 5,
    "monitoring.pagerDuty": {"monitoring": {"pagerDuty": {"secure": "planted-pager"}}},
    "monitoring.slack.workspaceId": {"monitoring": {"slack": {"workspaceId": "T2"}}},
    "monitoring.slack.channelId": {"monitoring": {"slack": {"channelId": "C2"}}},
    "monitoring.opik": OPIK,
    "monitoring.opikWorkspace": {"monitoring": {"opikWorkspace": "team"}},
    "monitoring.otlpEndpoint": "http://collector.internal.example.com:4318",
    "monitoring.degradedPercent": 50,
    "monitoring.minRequestsPerHour": 20,
    "monitoring.idleHours": 12,
    "monitoring.certificateDays": 10,
    "monitoring.diskPercent": 70,
    "monitoring.canaryMinutes": 10,
    "monitoring.sloAvailabilityPercent": 99,
    "monitoring.sloLatencyPercent": 90,
    "monitoring.selfHealing": False,
    "monitoring.runbookUrl": "https://runbook.example.com/operations",
    "monitoring.logRetentionDays": 30,
    "budget.monthlyUsd": 500,
    "budget.hourlyUsd": 5,
    "budget.anomalyUsd": 50,
    "ecs.capacity": {"ecs": ONE_LARGE},
    "ecs.instanceType": {"ecs": {"instanceType": "t3.xlarge"}},
    "ecs.instances.min": {"ecs": {"instances": {"min": 3}}},
    "ecs.instances.max": {"ecs": {"instances": {"max": 9}}},
    "ecs.exec": True,
    "secrets.openaiApiKey": {"secrets": {"openaiApiKey": {"secure": "planted-new"}}},
    "secrets.qdrantApiKey": {"secrets": {"qdrantApiKey": {"secure": "planted-new"}}},
    "secrets.mongoUrl": {"secrets": {"mongoUrl": {"secure": "planted-new"}}},
    "secrets.huggingFaceToken": {"secrets": {"huggingFaceToken": {"secure": "planted-new"}}},
    "secrets.opikApiKey": {"secrets": {"opikApiKey": {"secure": "planted-new"}}},
    "secrets.fallbackApiKey": {"secrets": {"fallbackApiKey": {"secure": "planted-new"}}},
    "tags": {"tags": {"team": "search"}},
    "protect": False,
    "cdn": True,
}


# what a key needs to be asked for at all: keys that start so -> the config that they are changed in
BASES: dict[str, dict[str, Any]] = {
    "scaling.schedule.": {"scaling": {"schedule": {}}},
    "access.keys.": PRICED,
    "access.usdPerHour": PRICED,
    "generation.usdPerMtok.": PRICED,
    "queryModel.usdPerMtok.": {"queryModel": {"usdPerMtok": {"input": 0.15, "output": 0.6}}},
    "access.oidc.": {"access": {"auth": "oidc", "oidc": OIDC}},
    "generation.llamacpp.": SIDECAR,
    "retrieval.selfHosted.": {"retrieval": {"qdrant": "self-hosted"}},
    "documents.selfHosted.": {"documents": {"mongo": "self-hosted"}},
    "cache.selfHosted.": {"cache": {"redis": "self-hosted"}},
    "monitoring.slack.": {"monitoring": {"slack": {"workspaceId": "T1", "channelId": "C1"}}},
    "monitoring.opikWorkspace": OPIK,
    "monitoring.diskPercent": {"retrieval": {"qdrant": "self-hosted"}},
    "ecs.instance": {"ecs": {**ONE_LARGE, "instances": {"min": 2, "max": 5}}},
}
# keys that change no resource, and who reads them
READ_ELSEWHERE = {
    "generation.instanceType": "opsctl deploy-endpoint",
    "generation.quantization": "opsctl deploy-endpoint",
    "generation.scaling.max": "opsctl deploy-endpoint",
}


def needed(path: str) -> dict[str, Any]:
    """What must be set for a key to be asked for at all."""
    return next((more for start, more in BASES.items() if path.startswith(start)), {})


def example(path: str) -> dict[str, Any]:
    """The example of a key as a part of the config."""
    value = EXAMPLES[path]
    if not isinstance(value, dict):
        for key in reversed(path.split(".")):
            value = {key: value}
    return dict(value)


def base(path: str) -> dict[str, Any]:
    return merged(merged(stack_file("prod"), second_phase()), needed(path))


def with_example(path: str) -> dict[str, Any]:
    return merged(base(path), example(path))


def declared(config: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Inputs and options of each resource, as text to compare."""
    made = offline.declare(parse(config, stack="prod"))
    return {
        (each.type.rpartition(":")[2], each.name.removeprefix("rag-platform-prod-")): json.dumps(
            [each.inputs, each.protect], sort_keys=True, default=str
        )
        for each in made.resources
        if each.custom or each.type == "pulumi:providers:aws"  # the provider carries the tags
    }


def effect(path: str, known: dict[str, dict[tuple[str, str], str]]) -> str:
    start = base(path)
    identity = json.dumps(start, sort_keys=True)
    old = known.setdefault(identity, declared(start)) if identity not in known else known[identity]
    return changes(old, declared(with_example(path)))


def changes(old: dict[tuple[str, str], str], new: dict[tuple[str, str], str]) -> str:
    """What came, went and differs, in one line."""
    signs = {
        **dict.fromkeys(new.keys() - old.keys(), "+"),
        **dict.fromkeys(old.keys() - new.keys(), "-"),
        **{key: "~" for key in old.keys() & new.keys() if old[key] != new[key]},
    }
    if len(signs) > 40:
        return "everything"
    return ", ".join(f"{sign}{kind} {name}" for (kind, name), sign in sorted(signs.items())) or "nothing"


def test_every_key_has_an_example() -> None:
    others = {*OTHERS, "aws:region", "topology"}
    assert set(EXAMPLES) == {path for path in keys(StackConfig) if path.split(".")[0] not in others}


def test_a_changed_key_changes_what_the_golden_file_says() -> None:
    known: dict[str, dict[tuple[str, str], str]] = {}
    effects = {path: effect(path, known) for path in EXAMPLES}
    assert {path for path, found in effects.items() if found == "nothing"} == set(READ_ELSEWHERE)
    hold_to_golden("ecs-key-effects.txt", "".join(f"{path}: {found}\n" for path, found in effects.items()))


@pytest.mark.parametrize(
    "block",
    [
        {"eks": {"version": "1.34", "mode": "auto", "nodes": {"min": 2, "max": 20}}},
        {"lambda": {"memoryMiB": 1024, "provisionedConcurrency": 2}},
        {"hybrid": {"edge": {"port": 9999}, "index": {"type": "flat"}}},
    ],
)
def test_blocks_of_other_topologies_change_nothing(block: dict[str, Any]) -> None:
    assert declared(merged(base(""), block)) == declared(base(""))
