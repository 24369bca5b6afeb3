from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from opsctl.cost.catalog import Price
from opsctl.endpoint.architecture import architecture
from opsctl.endpoint.chat_template import template_environment
from opsctl.endpoint.model_card import ModelCard, read_model_card
from opsctl.endpoint.preflight.bill import bill
from opsctl.endpoint.preflight.capacity import peak_instances
from opsctl.endpoint.preflight.checks import judge
from opsctl.endpoint.preflight.facts import Caller, Facts, Quota, Role, Running
from opsctl.endpoint.spec import BucketModel, Classic, EndpointSpec, ScaleToZero
from opsctl.errors import CheckFailed, CloudRefused, NoSuchModel, NotUsable
from opsctl.model.copies import CopiedFile, Copy, manifest_key
from opsctl.preflight.check import Check, refuse_failed
from opsctl.settings import Hub
from tests.hub_server import model_hub
from tests.real_processes import free_port
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC
from tests.unit.opsctl.endpoint.test_fit import LLAMA_8B, LLAMA_70B

MODEL = CLASSIC.source.model
CARD = ModelCard(MODEL, "the table", architecture(MODEL, LLAMA_8B), has_template=True)
PRICE = Price(unit="hour", usd=Decimal("1.58"), as_of=date(2026, 1, 22), confidence="C", source="a test")
GOOD = Facts(
    caller=Caller("123456789012", "arn:aws:iam::123456789012:user/ada"),
    quota=Quota("L-1194D53C", 4.0),
    running=Running(0, 0),
    role=Role(trusts_sagemaker=True, passable=True),
    bucket=True,
    key="Enabled",
    card=CARD,
    price=PRICE,
)
REFUSED = CloudRefused("AWS refused to show it: AccessDenied", next_step="allow it")
UNCOUNTED = NotUsable("the size of m can't be counted", next_step="leave room")
GATED = NoSuchModel("m is gated, and without a token there is no access to it", next_step="set HF_TOKEN")


def checked(spec: EndpointSpec = CLASSIC, strategy: Any = "all-at-once", **facts: Any) -> dict[str, Check]:
    return {check.name: check for check in judge(spec, replace(GOOD, **facts), strategy)}


def test_a_good_account_passes_every_check_with_evidence() -> None:
    found = checked()
    assert {check.status for check in found.values()} == {"ok"}
    assert all(check.evidence for check in found.values())
    assert "account 123456789012" in found["credentials"].evidence
    refuse_failed(tuple(found.values()))


FAILURES = [
    ("credentials", {"caller": REFUSED}, "failed", "AccessDenied", "allow it"),
    ("region", {"quota": None}, "failed", "eu-north-1 has no ml.g5.2xlarge", "generation.instanceType"),
    ("region", {"quota": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("quota", {"quota": None}, "unknown", "hasn't got", ""),
    ("quota", {"quota": Quota("L-1", 0.0)}, "failed", "0 ml.g5.2xlarge allowed", "--desired-value 2"),
    ("quota", {"running": Running(3, 0)}, "failed", "3 running; 2 needed", "--desired-value 5 --region eu-north-1"),
    ("quota", {"running": Running(3, 1)}, "ok", "3 running; 2 needed", ""),
    ("quota", {"running": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("gpu", {"card": ModelCard("m", "hub", problem=REFUSED)}, "unknown", "AccessDenied", ""),
    ("gpu", {"card": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("weights", {"card": ModelCard("m", "hub", problem=GATED)}, "failed", "gated", f"model upload --stack dev {MODEL}"),
    ("weights", {"card": ModelCard("m", "hub", problem=REFUSED)}, "unknown", "not asked", "allow it"),
    ("weights", {"card": ModelCard("m", "hub", problem=UNCOUNTED)}, "ok", "pulled from the hub", "opsctl model upload"),
    ("prompt", {"card": replace(CARD, has_template=False)}, "failed", "no chat template", "opsctl model upload"),
    ("prompt", {"card": replace(CARD, has_template=None)}, "unknown", "could not be read", ""),
    ("prompt", {"card": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("role", {"role": Role(trusts_sagemaker=False, passable=True)}, "failed", "doesn't trust", "pulumi up --stack dev"),
    ("role", {"role": Role(trusts_sagemaker=True, passable=False)}, "failed", "may not pass", "iam:PassRole"),
    ("role", {"role": Role(trusts_sagemaker=True, passable=None)}, "unknown", "IAM would not say", ""),
    ("role", {"role": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("bucket", {"bucket": REFUSED}, "failed", "AccessDenied", "allow it"),
    ("key", {"key": "PendingDeletion"}, "failed", "PendingDeletion", "cancel-key-deletion"),
    ("key", {"key": None}, "ok", "AWS's own", ""),
    ("key", {"key": REFUSED}, "unknown", "AccessDenied", "allow it"),
    ("cost", {"price": None}, "unknown", "it is not free", ""),
]


@pytest.mark.parametrize(("name", "facts", "status", "evidence", "fix"), FAILURES)
def test_what_is_not_as_it_should_be_says_so_and_how_to_mend_it(
    name: str, facts: dict[str, Any], status: str, evidence: str, fix: str
) -> None:
    check = checked(**facts)[name]
    assert check.status == status
    assert evidence in check.evidence
    assert fix in (check.fix or "")


def test_a_model_that_does_not_fit_is_given_the_numbers_and_the_smallest_type_that_does() -> None:
    check = checked(card=ModelCard("m", "hub", architecture("m", LLAMA_70B)))["gpu"]
    assert check.status == "failed"
    assert "weights 131.4 + cache of one context 1.2 + overhead 1.5 = 134.2 of 20.2 GiB usable" in check.evidence
    assert "generation.instanceType ml.g6e.12xlarge" in (check.fix or "")
    fitting = checked()["gpu"]
    assert "7 contexts of 4096 tokens side by side; ml.g5.xlarge would hold it too" in fitting.evidence


def test_quantisation_lets_the_same_model_fit_a_smaller_gpu() -> None:
    plain = checked(replace(CLASSIC, instance_type="ml.g4dn.xlarge"))["gpu"]
    assert plain.status == "failed"
    awq = ModelCard("m", "hub", architecture("m", LLAMA_8B | {"quantization_config": {"quant_method": "awq"}}))
    spec = replace(CLASSIC, quantization="awq", instance_type="ml.g4dn.xlarge")
    assert checked(spec, card=awq)["gpu"].status == "ok"
    assert "weights 5.4" in checked(spec, card=awq)["gpu"].evidence


def test_weights_that_somebody_else_put_into_s3_are_not_looked_into() -> None:
    card = read_model_card("s3://elsewhere/model", Bucket(), Hub())
    assert checked(card=card)["gpu"].status == "unknown"


def test_a_failed_check_stops_the_run_and_an_unknown_one_does_not() -> None:
    with pytest.raises(CheckFailed, match="quota, key would not hold; nothing was created"):
        refuse_failed(tuple(checked(quota=Quota("L-1", 0.0), key="Disabled").values()))
    refuse_failed(tuple(checked(card=REFUSED, price=None).values()))


@pytest.mark.parametrize(
    ("shape", "own", "strategy", "peak"),
    [
        (Classic(1, 2), 0, "all-at-once", 2),
        (Classic(1, 1), 0, "all-at-once", 2),
        (Classic(2, 3), 3, "all-at-once", 6),
        (Classic(2, 3), 3, "canary", 6),
        (Classic(4, 4), 4, "rolling", 5),
        (Classic(1, 8), 1, "rolling", 8),
        (ScaleToZero(1), 0, "all-at-once", 2),
        (ScaleToZero(4), 2, "all-at-once", 4),
        (Classic(2, 3), 3, None, 3),
        (ScaleToZero(1), 1, None, 1),
    ],
)
def test_an_update_needs_its_second_fleet(shape: Any, own: int, strategy: Any, peak: int) -> None:
    assert peak_instances(shape, own, strategy)[0] == peak


def test_a_rolling_update_is_offered_where_the_quota_allows_no_second_fleet() -> None:
    spec = replace(CLASSIC, shape=Classic(3, 3))
    assert "or --strategy rolling" in (checked(spec, quota=Quota("L-1", 4.0))["quota"].fix or "")
    assert checked(spec, "rolling", quota=Quota("L-1", 4.0))["quota"].status == "ok"


def test_the_bill_is_by_hour_and_month_for_both_shapes() -> None:
    assert "1.580 USD an hour" in bill(CLASSIC, PRICE).spelled
    assert "1,153.40 to 2,306.80 USD a month (list price of 2026-01-22, confidence C)" in bill(CLASSIC, PRICE).spelled
    assert "0.00 to 1,153.40 USD a month, nothing while it sleeps" in bill(ASLEEP, PRICE).spelled


class Bucket(dict[str, bytes]):
    def read(self, key: str) -> bytes | None:
        return self.get(key)


def test_a_card_is_read_from_the_copy_then_the_table_then_the_hub() -> None:
    content = json.dumps({**LLAMA_8B, "num_hidden_layers": 1}).encode()
    copied = Copy(
        model=MODEL, revision="a" * 40, prefix="p/", files=(CopiedFile(path="config.json", size=1, sha256="0"),)
    )
    bucket = Bucket({manifest_key(MODEL): copied.model_dump_json().encode(), "p/config.json": content})
    away = Hub(f"http://127.0.0.1:{free_port()}")
    card = read_model_card(MODEL, bucket, away)
    assert card.copy == copied
    assert card.architecture == architecture(MODEL, json.loads(content))

    table = read_model_card(MODEL, Bucket(), away)
    assert table.copy is None
    assert table.architecture == architecture(MODEL, LLAMA_8B)

    with model_hub("acme/tiny", {"config.json": content}) as hub:
        assert read_model_card("acme/tiny", Bucket(), Hub(hub.url)).architecture == card.architecture
    with model_hub("acme/tiny", {"config.json": content}, gated=True) as hub:
        gated = read_model_card("acme/tiny", Bucket(), Hub(hub.url))
    assert gated.architecture is None
    assert "gated" in str(gated.problem)


def test_a_model_without_a_template_is_spoken_to_in_the_alpaca_form() -> None:
    bare = {"card": replace(CARD, has_template=False)}
    told = replace(CLASSIC, environment=template_environment("vllm", has_template=False))
    assert checked(told, **bare)["prompt"].status == "ok"
    assert checked(replace(CLASSIC, engine="tgi"), **bare)["prompt"].status == "ok"


@pytest.mark.parametrize(
    ("files", "has_template"),
    [
        ({}, False),
        ({"tokenizer_config.json": b'{"eos_token": "x"}'}, False),
        ({"tokenizer_config.json": b'{"chat_template": "{{ x }}"}'}, True),
        ({"tokenizer_config.json": b"no JSON", "chat_template.jinja": b"{{ x }}"}, True),
    ],
)
def test_a_template_is_found_where_publishers_put_it(files: dict[str, bytes], *, has_template: bool) -> None:
    files = {"config.json": json.dumps(LLAMA_8B).encode(), **files}
    with model_hub("acme/tiny", files) as hub:
        assert read_model_card("acme/tiny", Bucket(), Hub(hub.url)).has_template is has_template


def test_weights_in_the_bucket_need_no_hub() -> None:
    spec = replace(CLASSIC, source=BucketModel(MODEL, "s3://weights/m/"))
    assert (
        "s3://weights/m/, without a network"
        in checked(spec, card=ModelCard("m", "hub", problem=GATED))["weights"].evidence
    )
