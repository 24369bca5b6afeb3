"""What a preflight asks AWS: who asks, what the account may run and does, whether role, bucket and key are usable."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from opsctl.aws.session import client, translated
from opsctl.endpoint.preflight.facts import Caller, Quota, Role, Running

SAGEMAKER = "sagemaker.amazonaws.com"
COUNTS = {"InService", "Creating", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"}


def caller(region: str) -> Caller:
    """Whose credentials they are."""
    with translated("whose credentials these are"):
        said = client("sts", region).get_caller_identity()
    return Caller(said["Account"], said["Arn"])


def endpoint_quota(region: str, instance_type: str) -> Quota | None:
    """The quota for endpoints on this type; None where the region has no such type."""
    name = f"{instance_type} for endpoint usage"
    with translated("the quotas of SageMaker"):
        quotas = client("service-quotas", region)
        for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
            for page in quotas.get_paginator(operation).paginate(ServiceCode="sagemaker"):
                found = next((each for each in page["Quotas"] if each["QuotaName"] == name), None)
                if found is not None:
                    return Quota(found["QuotaCode"], float(found["Value"]))
    return None


def running_instances(region: str, instance_type: str, endpoint: str) -> Running:
    """Instances of this type behind all endpoints, and behind one of them."""
    everything = own = 0
    with translated("what runs on SageMaker"):
        sagemaker = client("sagemaker", region)
        for page in sagemaker.get_paginator("list_endpoints").paginate():
            for each in page["Endpoints"]:
                if each["EndpointStatus"] in COUNTS:
                    count = _instances(sagemaker, each["EndpointName"], instance_type)
                    everything += count
                    own += count if each["EndpointName"] == endpoint else 0
    return Running(everything, own)


def execution_role(region: str, arn: str, by: Caller) -> Role:
    """Whether SageMaker may assume the role, and the caller may pass it."""
    with translated(f"the role {arn}"):
        iam = client("iam", region)
        trust = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    try:
        said = iam.simulate_principal_policy(
            PolicySourceArn=_principal(by.arn),
            ActionNames=["iam:PassRole"],
            ResourceArns=[arn],
            ContextEntries=[
                {
                    "ContextKeyName": "iam:PassedToService",
                    "ContextKeyValues": [SAGEMAKER],
                    "ContextKeyType": "string",
                }
            ],
        )["EvaluationResults"]
        passable: bool | None = all(each["EvalDecision"] == "allowed" for each in said)
    except (
        BotoCoreError,
        ClientError,
        ResponseParserError,
    ):  # most callers may not simulate, and root can't be: then it is not known
        passable = None
    return Role(_trusts(trust), passable)


def bucket_is_there(region: str, name: str) -> bool:
    """Whether the bucket can be reached."""
    with translated(f"bucket '{name}'"):
        client("s3", region).head_bucket(Bucket=name)
    return True


def key_state(region: str, arn: str | None) -> str | None:
    """The state of the key; None without one."""
    if arn is None:
        return None
    with translated(f"the key {arn}"):
        return str(client("kms", region).describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])


def _instances(sagemaker: Any, endpoint: str, instance_type: str) -> int:  # noqa: ANN401 - a boto3 client
    try:
        said = sagemaker.describe_endpoint(EndpointName=endpoint)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=said["EndpointConfigName"])
    except ClientError:  # deleted since it was listed, or its config was: nothing says what it runs on
        return 0
    types = {each["VariantName"]: each.get("InstanceType") for each in config["ProductionVariants"]}
    variants = said.get("ProductionVariants", [])
    return sum(
        each.get("CurrentInstanceCount", 0) for each in variants if types.get(each["VariantName"]) == instance_type
    )


def _trusts(policy: dict[str, Any]) -> bool:
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    return any(
        each["Effect"] == "Allow" and SAGEMAKER in _listed(each.get("Principal", {}), "Service") for each in statements
    )


def _listed(principal: Any, kind: str) -> list[str]:  # noqa: ANN401 - IAM's JSON: a word, or words by kind
    found = principal.get(kind, []) if isinstance(principal, dict) else []
    return [found] if isinstance(found, str) else list(found)


def _principal(arn: str) -> str:
    """The IAM principal behind a caller: the role of a session."""
    if ":assumed-role/" not in arn:
        return arn
    prefix, _, session = arn.partition(":assumed-role/")
    return f"{prefix.replace(':sts:', ':iam:')}:role/{session.partition('/')[0]}"
