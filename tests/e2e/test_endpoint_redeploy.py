"""The self-healing function on a cloud: a lost endpoint comes back by itself, once."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

import boto3
import pytest

from opsctl.functions.redeploy.handler import handler
from tests.e2e.endpoint.lab import BUCKET, REGION, act, counts, named
from tests.unit.opsctl.endpoint.specs import ASLEEP

ALARM = {"alarmData": {"alarmName": "twin-endpoint-5xx", "state": {"value": "ALARM", "reason": "6 of 5"}}}


@dataclass(frozen=True)
class Context:
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


class Pager:
    """A queue behind the topic."""

    def __init__(self) -> None:
        sns, self.sqs = (boto3.client(service, region_name=REGION) for service in ("sns", "sqs"))
        self.topic = sns.create_topic(Name=f"page-{uuid.uuid4().hex[:8]}")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=f"page-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def subjects(self) -> list[str]:
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for each in received:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"])["Subject"] for each in received]


@pytest.fixture
def pager(cloud: None) -> Pager:
    return Pager()


def test_a_lost_endpoint_comes_back_once_then_a_person_is_called(pager: Pager, monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = boto3.client("sagemaker", region_name=REGION)
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    spec = named(ASLEEP)
    name = spec.endpoint
    assert act("deploy", spec).error is None
    whole = counts(name)
    settings = {"STACK": spec.stack, "ENDPOINT": name, "BUCKET": BUCKET, "TOPIC": pager.topic}
    for key, value in settings.items():
        monkeypatch.setenv(f"RAG_{key}", value)
    monkeypatch.setenv("AWS_REGION", REGION)

    def lose() -> None:
        sagemaker.delete_inference_component(InferenceComponentName=f"{name}-main")
        sagemaker.delete_endpoint(EndpointName=name)

    lose()
    assert handler(ALARM, Context())["outcome"] == "restarted"
    assert counts(name) == whole
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    assert pager.subjects() == [f"{name}: restarted"]

    lose()
    assert handler(ALARM, Context())["outcome"] == "paged"
    assert "endpoint" not in counts(name)
    assert pager.subjects() == [f"{name}: fails again"]
    assert act("delete", spec).error is None
