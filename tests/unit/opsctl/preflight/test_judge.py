"""Each check in each of its states; every failure comes with the command that mends it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from opsctl.credentials.vendors import Kept
from opsctl.endpoint.preflight.facts import Caller, Quota, Running
from opsctl.errors import CheckFailed, CloudRefused
from opsctl.preflight.check import Check, refuse_failed
from opsctl.preflight.facts import EndpointRoom, Estimate, Facts, Name, Share
from opsctl.preflight.judge import judge
from opsctl.preflight.needs import Need
from tests.infra.cloud_cases import config, second_phase

PROD = config("prod", second_phase())
EIPS = Need("elastic IPs", "ec2", "L-0263D0A3", 3, "network.nat: per-zone", "addresses")
REFUSED = CloudRefused("AWS refused", next_step="allow it")
QUOTA = Quota("L-1194D53C", 4.0)
THEN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
GOOD = Facts(
    pulumi=(3, 213, 0),
    caller=Caller("111122223333", "arn:me"),
    account="111122223333",
    needs=(EIPS,),
    shares={EIPS.name: Share(5, 2)},
    architectures=("x86_64",),
    secrets=(
        Kept("openaiApiKey", given=True, arn="arn:o", changed=THEN),
        Kept("mongoUrl", given=False, arn="arn:m", changed=THEN),
    ),
    name=Name(zone=True, certificate="ISSUED"),
    endpoint="InService",
    room=EndpointRoom(QUOTA, Running(all=3, own=1)),
    estimate=Estimate(Decimal(900), Decimal(2000), ()),
    violations=(),
)


def judged(**changed: Any) -> dict[str, Check]:
    return {check.name: check for check in judge(PROD, replace(GOOD, **changed))}


def test_a_stack_that_can_be_deployed_passes_every_check() -> None:
    found = judged()
    assert list(found) == [
        "pulumi",
        "credentials",
        "elastic IPs",
        "endpoint instances",
        "image",
        "secrets",
        "name",
        "model endpoint",
        "cost",
        "policy",
    ]
    assert {check.status for check in found.values()} == {"ok"}
    refuse_failed(tuple(found.values()))


@pytest.mark.parametrize(
    ("changed", "name", "status", "evidence", "fix"),
    [
        ({"pulumi": (3, 100, 0)}, "pulumi", "failed", "3.100.0, older than 3.200", "make tools"),
        ({"pulumi": REFUSED}, "pulumi", "failed", "AWS refused", "allow it"),
        ({"caller": REFUSED}, "credentials", "failed", "AWS refused", "allow it"),
        ({"account": "999999999999"}, "credentials", "failed", "the stack is in 999999999999", "AWS_PROFILE"),
        ({"shares": {EIPS.name: Share(4, 2)}}, "elastic IPs", "failed", "3 needed", "--desired-value 5"),
        ({"shares": {EIPS.name: Share(4, None)}}, "elastic IPs", "ok", "is not known", None),
        ({"shares": {EIPS.name: Share(None, 0)}}, "elastic IPs", "unknown", "no quota L-0263D0A3", None),
        ({"shares": {EIPS.name: REFUSED}}, "elastic IPs", "unknown", "AWS refused", "allow it"),
        (
            {"room": EndpointRoom(QUOTA, Running(all=3, own=0))},
            "endpoint instances",
            "failed",
            "4 ml.g5.2xlarge allowed, 3 running; 2 needed at its largest",
            "--service-code sagemaker --quota-code L-1194D53C --desired-value 5 --region eu-north-1",
        ),
        ({"room": EndpointRoom(None, REFUSED)}, "endpoint instances", "failed", "has no ml.g5.2xlarge", "instanceType"),
        ({"room": EndpointRoom(REFUSED, REFUSED)}, "endpoint instances", "unknown", "AWS refused", "allow it"),
        ({"room": EndpointRoom(QUOTA, REFUSED)}, "endpoint instances", "unknown", "AWS refused", "allow it"),
        ({"architectures": ()}, "image", "failed", "the registry has no", "opsctl image push"),
        ({"architectures": ("arm64",)}, "image", "failed", "it is for arm64", "--platform linux/amd64"),
        ({"architectures": REFUSED}, "image", "unknown", "AWS refused", "allow it"),
        (
            {"secrets": (Kept("openaiApiKey", given=False, arn="arn:o", changed=None),)},
            "secrets",
            "failed",
            "openaiApiKey: no value",
            "opsctl secrets set openaiApiKey --stack prod",
        ),
        ({"secrets": REFUSED}, "secrets", "unknown", "AWS refused", "allow it"),
        ({"name": Name(zone=False, certificate=None)}, "name", "failed", "no public zone", "create-hosted-zone"),
        ({"name": Name(zone=True, certificate="FAILED")}, "name", "failed", "is FAILED", "describe-certificate"),
        ({"name": Name(zone=True, certificate=None)}, "name", "ok", "not asked for yet", None),
        ({"name": REFUSED}, "name", "unknown", "AWS refused", "allow it"),
        ({"endpoint": ""}, "model endpoint", "failed", "'twin' is not there", "opsctl deploy-endpoint --stack prod"),
        ({"endpoint": "Failed"}, "model endpoint", "failed", "'twin' is Failed", "opsctl deploy-endpoint"),
        ({"endpoint": REFUSED}, "model endpoint", "unknown", "AWS refused", "allow it"),
        (
            {"estimate": Estimate(Decimal("2000.01"), Decimal(2000), ("a price",))},
            "cost",
            "failed",
            "at least 2,000.01 of 2,000.00 USD",
            "--optimise",
        ),
        ({"estimate": REFUSED}, "cost", "unknown", "AWS refused", "allow it"),
        (
            {"violations": ("a", "b", "c", "d")},
            "policy",
            "failed",
            "a; b; c; and 1 more",
            "--policy-pack infra/policies",
        ),
    ],
)
def test_a_fact_that_is_not_right_is_named_with_its_fix(
    changed: dict[str, Any], name: str, status: str, evidence: str, fix: str | None
) -> None:
    check = judged(**changed)[name]
    assert check.status == status
    assert evidence in check.evidence
    assert (check.fix is None) if fix is None else fix in str(check.fix)


def test_what_the_phase_has_not_got_is_not_checked() -> None:
    assert list(judged(architectures=None, secrets=None, name=None, endpoint=None, room=None)) == [
        "pulumi",
        "credentials",
        "elastic IPs",
        "cost",
        "policy",
    ]


def test_a_failure_stops_and_what_is_unknown_does_not() -> None:
    refuse_failed(tuple(judged(architectures=REFUSED).values()))
    with pytest.raises(CheckFailed, match=r"image, cost would not hold; nothing was created"):
        refuse_failed(tuple(judged(architectures=(), estimate=Estimate(Decimal(9), Decimal(1), ())).values()))
