"""How each kind of data store runs in a pod: ports, paths, probes, the file with its credential. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.components import store_scripts

# the first pod founds the cluster, the others ask it; a pod's name ends with its number
JOIN = """\
own=http://$HOSTNAME.qdrant-peers:{port}; first=http://qdrant-0.qdrant-peers:{port}
if [ "$HOSTNAME" = qdrant-0 ]; then exec ./entrypoint.sh --uri "$own"; fi
exec ./entrypoint.sh --bootstrap "$first" --uri "$own"
"""


@dataclass(frozen=True)
class PodSpec:
    """How a kind of store runs in a pod.

    Attributes:
        port: that its clients connect to.
        settings: text of the file with its credential; `{token}` stands for it.
        settings_path: where it reads that file.
        data_path: where its data is.
        environment: what else it is told.
        command: what is started; empty takes the image's own.
        args: after it.
        ready: the readiness probe's own part.
        live: the liveness probe's.
        peer_port: of its pods among themselves.
    """

    port: int
    settings: str
    settings_path: str
    data_path: str
    ready: Mapping[str, Any]
    live: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    peer_port: int | None = None


POD_SPECS = {
    "qdrant": PodSpec(
        port=6333,
        # Qdrant's place for credentials beside its other configuration
        settings="service:\n  api_key: {token}\n",
        settings_path="/qdrant/config/local.yaml",
        data_path="/qdrant/storage",
        ready={"httpGet": {"path": "/readyz", "port": "client", "scheme": "HTTP"}},
        live={"httpGet": {"path": "/livez", "port": "client", "scheme": "HTTP"}},
        environment={"QDRANT__STORAGE__SNAPSHOTS_PATH": "/qdrant/storage/snapshots"},
        command=("sh", "-c", JOIN.format(port=store_scripts.PEER_PORT)),
        peer_port=store_scripts.PEER_PORT,
    ),
    "mongo": PodSpec(
        port=27017,
        settings="{token}",
        settings_path="/etc/store/settings",
        data_path="/data/db",
        # while the image makes the first user, the server listens on loopback only
        ready={"exec": {"command": ["mongosh", "--quiet", "--eval", "db.hello().isWritablePrimary || quit(1)"]}},
        live={"tcpSocket": {"port": "client"}},
        environment={
            "HOME": "/tmp",  # noqa: S108 - in the container: mongosh keeps its history there
            "MONGO_INITDB_ROOT_USERNAME": "rag",
            "MONGO_INITDB_ROOT_PASSWORD_FILE": "/etc/store/settings",
        },
    ),
    "redis": PodSpec(
        port=6379,
        settings="requirepass {token}\n",
        settings_path="/etc/store/settings",
        data_path="/data",
        # it asks for a password before it says PONG; either answer means that it has loaded its data
        ready={"exec": {"command": ["sh", "-c", "valkey-cli ping | grep -Eq 'PONG|NOAUTH'"]}},
        live={"tcpSocket": {"port": "client"}},
        command=("valkey-server", "/etc/store/settings"),
        args=("--maxmemory-policy", "allkeys-lru", "--save", ""),
    ),
}
