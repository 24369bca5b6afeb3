"""How an edge host gets the edge's role, as AWS's shared config file: pure. Names and ways, no key."""

from __future__ import annotations

import shlex
from configparser import RawConfigParser
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.config.edge_cloud import Identity

PROFILE = "rag-edge"
NO_PROFILES = ("Ec2InstanceMetadata", "EcsContainer")  # where the SDK itself finds an identity


@dataclass(frozen=True, slots=True)
class Role:
    """What the cloud half made for the hosts; the last two where they come by certificate."""

    arn: str
    anchor_arn: str | None = None
    profile_arn: str | None = None


def aws_config(identity: Identity, role: Role, *, region: str, session: str) -> str:
    """The file for one host; `session` names it in the account's audit log."""
    parser = RawConfigParser(interpolation=None)
    parser[f"profile {PROFILE}"] = {"region": region, **_way(identity, role, session)}
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _way(identity: Identity, role: Role, session: str) -> dict[str, str]:
    if identity.kind == "roles-anywhere":
        return {"credential_process": shlex.join(_helper(identity, role))}
    key = "credential_source" if identity.source in NO_PROFILES else "source_profile"
    return {"role_arn": role.arn, "role_session_name": session[:64], key: identity.source}


def _helper(identity: Identity, role: Role) -> list[str]:
    options = {
        "--certificate": identity.certificate,
        "--private-key": identity.certificate_key,
        "--trust-anchor-arn": str(role.anchor_arn),
        "--profile-arn": str(role.profile_arn),
        "--role-arn": role.arn,
    }
    return [identity.helper, "credential-process", *(word for pair in options.items() for word in pair)]
