"""The callers' keys: generated, handed out one by one, and known to the service as salted hashes only."""

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest

from infra import offline
from infra.components.generated import _TokenProvider
from service.access.key_book import KeyBook
from service.resilience.switches import Document
from tests.infra.cloud_cases import program

KEYS = {"default": {}, "batch": {"requestsPerMinute": 600, "usdPerHour": 1.5}}


@pytest.fixture(scope="module")
def declared() -> offline.Program:
    return program("prod", access={"keys": KEYS}, generation={"usdPerMtok": {"input": 0.5, "output": 1}})


def secret(declared: offline.Program, name: str) -> str:
    return str(declared.one("SecretVersion", f"prod-{name}").inputs["secretString"])


def readable(declared: offline.Program, role: str) -> set[str]:
    """Names of the secrets that a role may read."""
    policy = json.loads(declared.one("rolePolicy:RolePolicy", f"{role}-policy").inputs["policy"])
    read = [each for each in policy["Statement"] if "secretsmanager:GetSecretValue" in each["Action"]]
    return {arn.rpartition("-prod-")[2] for each in read for arn in each["Resource"]}


def test_the_book_holds_each_key_as_a_salted_hash(declared: offline.Program) -> None:
    book = json.loads(secret(declared, "apiKeys"))
    assert (book["version"], [each["name"] for each in book["keys"]]) == (1, ["batch", "default"])
    for each in book["keys"]:
        key = secret(declared, f"apiKey-{each['name']}")
        assert len(bytes.fromhex(each["salt"])) == 16
        assert each["sha256"] == hashlib.sha256(bytes.fromhex(each["salt"]) + key.encode()).hexdigest()
        assert key not in secret(declared, "apiKeys")
    assert len({each["salt"] for each in book["keys"]}) == 2


def test_a_key_carries_its_own_limits_and_no_other(declared: offline.Program) -> None:
    batch, default = json.loads(secret(declared, "apiKeys"))["keys"]
    assert (batch["requestsPerMinute"], batch["usdPerHour"]) == (600, "1.5")
    assert default.keys() == {"name", "salt", "sha256"}


def test_the_services_own_parser_knows_each_caller_by_its_key(declared: offline.Program) -> None:
    book = KeyBook.parse(secret(declared, "apiKeys").encode())
    for name in KEYS:
        caller = book.caller(secret(declared, f"apiKey-{name}").encode())
        assert caller is not None
        assert caller.name == name
    assert book.caller(b"invented") is None
    batch = book.caller(secret(declared, "apiKey-batch").encode())
    assert batch is not None
    assert (batch.limits.requests_per_minute, batch.limits.usd_per_hour) == (600, Decimal("1.5"))


def test_the_service_reads_the_book_and_no_other_secret(declared: offline.Program) -> None:
    assert readable(declared, "task") == {"apiKeys"}


def test_ecs_itself_reads_neither_the_book_nor_a_key(declared: offline.Program) -> None:
    assert not [name for name in readable(declared, "start") if name.startswith("apiKey")]


def test_no_key_is_in_a_task_definition_or_an_output(declared: offline.Program) -> None:
    keys = [secret(declared, f"apiKey-{name}") for name in KEYS]
    places = declared.one("TaskDefinition").inputs["containerDefinitions"] + json.dumps(declared.outputs)
    assert not [key for key in keys if key in places]


def test_no_name_of_a_caller_meets_the_parts_of_another() -> None:
    names = [f"{one}{other}" for one in ("", "salt-", "key-") for other in ("app", "app-salt", "app-key")]
    made = program("prod", access={"keys": {name: {} for name in names}}).of("pulumi-python:dynamic:Resource")
    assert (
        len({each.name for each in made}) == len(made) == 2 * (len(names) + 1) + 1
    )  # the default key, the cache's token


def test_other_ways_to_log_in_have_no_keys() -> None:
    oidc = {"auth": "oidc", "oidc": {"issuer": "https://id.example.com", "audience": "rag"}}
    assert not [name for name in program("prod", access=oidc).outputs["secrets"] if name.startswith("apiKey")]


@pytest.mark.parametrize(
    ("olds", "news", "replaced"),
    [
        ({"bytes": 32, "revision": 1, "value": "x"}, {"bytes": 32, "revision": 1, "value": None}, []),
        ({"bytes": 32, "revision": 1}, {"bytes": 32, "revision": 2}, ["revision"]),
        ({"bytes": 32, "value": "x"}, {"bytes": 32, "revision": 1}, []),  # made before there were revisions
    ],
)
def test_another_revision_makes_another_token(olds: dict[str, Any], news: dict[str, Any], replaced: list[str]) -> None:
    found = _TokenProvider().diff("id", olds, news)
    assert (found.changes, found.replaces) == (bool(replaced), replaced)


def test_a_token_is_random_and_long() -> None:
    first, second = (_TokenProvider().create({"bytes": 32}).outs["value"] for _ in range(2))
    assert len(bytes.fromhex(first)) == 32
    assert first != second


def test_operators_own_the_value_of_the_switches(declared: offline.Program) -> None:
    switches = declared.one("ssm/parameter:Parameter")
    assert (switches.inputs["name"], switches.inputs["value"]) == ("/rag/prod/switches", "{}")
    assert switches.ignored == ("value",)
    assert Document.model_validate_json(switches.inputs["value"]).off() == []


def test_the_service_reads_its_switches_and_no_other_parameter(declared: offline.Program) -> None:
    policy = json.loads(declared.one("rolePolicy:RolePolicy", "task-policy").inputs["policy"])
    (read,) = [each for each in policy["Statement"] if any(action.startswith("ssm:") for action in each["Action"])]
    assert read["Action"] == ["ssm:GetParameter"]
    assert [arn.rpartition(":")[2] for arn in read["Resource"]] == ["rag-platform-prod-switches"]
