from __future__ import annotations

import pytest

from opsctl.model.token import with_token
from opsctl.settings import Hub
from opsctl.stack import Delivery
from tests.unit.opsctl.conftest import PlayedService, Reply

ARN = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:rag/dev/huggingFaceToken-Xy"
KEEPS_ONE = Delivery(topology="ecs", region="eu-north-1", secrets={"huggingFaceToken": ARN})


@pytest.fixture(autouse=True)
def vault(aws: PlayedService) -> PlayedService:
    aws.says("/", Reply(body={"SecretString": "kept"}))
    return aws


@pytest.mark.parametrize(
    ("own", "delivery", "token", "asked"),
    [
        (None, KEEPS_ONE, "kept", 1),
        ("mine", KEEPS_ONE, "mine", 0),
        (None, Delivery(topology="ecs", secrets={"openaiApiKey": "arn:other"}), None, 0),
    ],
)
def test_the_operators_own_token_wins_over_the_stacks(
    own: str | None, delivery: Delivery, token: str | None, asked: int, vault: PlayedService
) -> None:
    hub = with_token(Hub(token=own), delivery)
    assert (hub.token, hub.url) == (token, Hub().url)
    assert len(vault.requests) == asked
    assert "kept" not in repr(hub)
