"""How an EKS cluster is reached: its address, its authority, and a token that the caller's identity is behind."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import NoCredentialsError
from botocore.signers import RequestSigner

from opsctl.aws.session import client, translated

TOKEN_S = 60  # EKS takes a token for a quarter of an hour from when it was signed


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Address, certificate authority in base64, and a bearer token."""

    endpoint: str
    authority: str
    token: str = field(repr=False)


def cluster_access(region: str | None, name: str) -> ClusterAccess:
    """Ask for the cluster, and sign a token for it as `aws eks get-token` does.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"EKS cluster '{name}'"):
        found = client("eks", region).describe_cluster(name=name)["cluster"]
        token = _token(region, name)
    return ClusterAccess(found["endpoint"], found["certificateAuthority"]["data"], token)


def _token(region: str | None, cluster: str) -> str:
    """A signed request for the caller's own identity, which EKS sends on to learn who it is."""
    session = boto3.Session(region_name=region)
    sts = session.client("sts").meta
    home = sts.region_name
    signer = RequestSigner(sts.service_model.service_id, home, "sts", "v4", _credentials(session), session.events)
    request = {
        "method": "GET",
        "url": f"https://sts.{home}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, operation_name="", expires_in=TOKEN_S, region_name=home)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _credentials(session: boto3.Session) -> Any:  # noqa: ANN401 - botocore's, without types
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError
    return found
