from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsctl.errors import CloudRefused
from opsctl.service_key import service_key
from opsctl.settings import Settings
from opsctl.stack import Delivery
from tests.unit.opsctl.conftest import PlayedService, Reply

if TYPE_CHECKING:
    from typing import Any

ARN = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:rag/dev/apiKey-default-Xy"
WITH_KEY = Delivery(topology="ecs", region="eu-north-1", secrets={"apiKey-default": ARN, "apiKeys": "arn:book"})


@pytest.fixture(autouse=True)
def vault(aws: PlayedService) -> PlayedService:

    def answer(body: dict[str, Any]) -> Reply:
        assert body == {"SecretId": ARN}
        return Reply(body={"SecretString": "generated"})

    aws.answers["/"] = answer
    return aws


@pytest.mark.parametrize(
    ("own", "delivery", "key", "asked"),
    [
        (None, WITH_KEY, "generated", 1),
        ("mine", WITH_KEY, "mine", 0),
        (None, Delivery(topology="ecs", secrets={"openaiApiKey": "arn:other"}), None, 0),
        (None, Delivery(topology="hybrid"), None, 0),
    ],
)
def test_the_operators_own_key_wins_over_the_stacks(
    own: str | None, delivery: Delivery, key: str | None, asked: int, vault: PlayedService
) -> None:
    assert service_key(Settings(api_key=own), delivery) == key
    assert len(vault.requests) == asked


def test_a_key_that_may_not_be_read_names_the_secret_and_the_next_step(vault: PlayedService) -> None:
    refusal = {"__type": "AccessDeniedException", "message": "no"}
    vault.says("/", Reply(400, refusal, "application/x-amz-json-1.1"))
    with pytest.raises(CloudRefused, match=r"apiKey-default-Xy: AccessDenied.*correct GetSecretValue"):
        service_key(Settings(), WITH_KEY)
