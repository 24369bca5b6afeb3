"""First boot of a data store's instance: mount the data volume, fetch the credential, start the store. Plain text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.observability.metrics import SERVICE

if TYPE_CHECKING:
    from infra.config.workload import VectorStore

PEER_PORT = 6335  # Qdrant's instances among themselves
# The volume has another device name on Nitro instances: it is the one disk without partitions. A new one is formatted.
# Instance, secret and permission are made at the same time, hence the waiting.
# The credential is in a file on the encrypted root disk, which outlives a reboot, and in no argument of a process.
BOOT = """#!/bin/bash
set -euo pipefail
dnf install -y docker amazon-cloudwatch-agent
for _ in $(seq 120); do
  disk=$(lsblk -dnpo NAME,TYPE | awk '$2 == "disk" {{print $1}}' | while read -r d; do
    [ "$(lsblk -no NAME "$d" | wc -l)" = 1 ] && echo "$d" && break; done || true)
  [ -n "$disk" ] && break
  sleep 2
done
blkid "$disk" || mkfs.xfs "$disk"
mkdir -p /data
echo "UUID=$(blkid -s UUID -o value "$disk") /data xfs defaults,nofail 0 2" >> /etc/fstab
mount /data
install -d -o 10001 -g 10001 /data/store
systemctl enable --now docker
until token=$(aws secretsmanager get-secret-value --region {region} --secret-id {secret} \\
  --query SecretString --output text); do sleep 5; done
umask 077
cat > /etc/store-settings <<SETTINGS
{settings}
SETTINGS
chown 10001:10001 /etc/store-settings
docker run -d --name store --restart always --user 10001:10001 --read-only --tmpfs /tmp --cap-drop ALL \\
  {ports} -v /data/store:{path} -v /etc/store-settings:/etc/store-settings:ro {options} {image} {command}
cat > /opt/aws/amazon-cloudwatch-agent/etc/store.json <<'AGENT'
{agent}
AGENT
chmod 644 /opt/aws/amazon-cloudwatch-agent/etc/store.json
/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \\
  -c file:/opt/aws/amazon-cloudwatch-agent/etc/store.json
"""
DISK_LABELS = {"path": "/data", "fstype": "xfs"}  # the agent adds them to what it says of the volume above


@dataclass(frozen=True)
class StoreSpec:
    """How one kind of store is started and addressed.

    Attributes:
        credential: name of its credential among the stack's secrets.
        address: what the credential holds, from token, host and port.
        image: pinned; change it to upgrade.
        settings: the file that the store reads its credential from; the shell puts `$token` in.
    """

    credential: str
    address: str
    port: int
    image: str
    path: str
    settings: str
    options: str
    command: str
    peer_port: int | None = None

    def script(
        self,
        region: str,
        secret_arn: pulumi.Input[str],
        image: str | None,
        agent: str,
        options: str = "",
        command: pulumi.Input[str] = "",
    ) -> pulumi.Output[str]:
        """The user data of an instance; it names the secret and never holds it.

        `image` takes the place of the vendor's; `agent` is what CloudWatch's agent is told; `options` and `command` are
        added.
        """
        ports = [port for port in (self.port, self.peer_port) if port is not None]
        return pulumi.Output.format(
            BOOT,
            region=region,
            secret=secret_arn,
            settings=self.settings,
            ports=" ".join(f"-p {port}:{port}" for port in ports),
            path=self.path,
            options=f"{self.options} {options}".strip(),
            image=image or self.image,
            agent=agent,
            command=pulumi.Output.concat(self.command, command),
        )


def agent_settings(namespace: str, kind: str) -> str:
    """What CloudWatch's agent measures: how full the store's volume is, each five minutes, under no host's name."""
    disk = {
        "measurement": ["used_percent"],
        "resources": [DISK_LABELS["path"]],
        "drop_device": True,
        "append_dimensions": {"Service": SERVICE, "Store": kind},
    }
    agent = {"metrics_collection_interval": 300, "omit_hostname": True, "run_as_user": "cwagent"}
    return json.dumps(
        {"agent": agent, "metrics": {"namespace": namespace, "metrics_collected": {"disk": disk}}}, indent=1
    )


def cluster_settings(size: VectorStore) -> dict[str, str]:
    """Qdrant as a cluster, of one instance too, so that a second one changes nothing on the first.

    Collections take shards and copies from here unless whoever creates one says otherwise.
    """
    return {
        "QDRANT__CLUSTER__ENABLED": "true",
        "QDRANT__STORAGE__COLLECTION__REPLICATION_FACTOR": str(size.replicas),
        "QDRANT__STORAGE__COLLECTION__SHARD_NUMBER_PER_NODE": str(size.shards),
        "QDRANT_INIT_FILE_PATH": "/tmp/.qdrant-initialized",  # noqa: S108 - in the container, whose root is read-only
    }


def cluster_options(size: VectorStore) -> str:
    """The same as options of `docker run`."""
    return " ".join(f"-e {name}={value}" for name, value in cluster_settings(size).items())


def peer_command(own: pulumi.Input[str], first: pulumi.Input[str] | None) -> pulumi.Output[str]:
    """How an instance of Qdrant joins: the first one founds the cluster, the others ask it."""
    founded = pulumi.Output.concat(" --uri http://", own, f":{PEER_PORT}")
    if first is None:
        return founded
    return pulumi.Output.concat(" --bootstrap http://", first, f":{PEER_PORT}", founded)


STORES = {
    "qdrant": StoreSpec(
        credential="qdrantApiKey",
        address="{token}",
        port=6333,
        peer_port=PEER_PORT,
        image="docker.io/qdrant/qdrant:v1.15.5-unprivileged",
        path="/qdrant/storage",
        settings="QDRANT__SERVICE__API_KEY=$token",
        options="--env-file /etc/store-settings -e QDRANT__STORAGE__SNAPSHOTS_PATH=/qdrant/storage/snapshots",
        command="./entrypoint.sh",
    ),
    "mongo": StoreSpec(
        credential="mongoUrl",
        address="mongodb://rag:{token}@{host}:{port}/?authSource=admin",
        port=27017,
        image="docker.io/library/mongo:8.0",
        path="/data/db",
        settings="$token",
        options="-e MONGO_INITDB_ROOT_USERNAME=rag -e MONGO_INITDB_ROOT_PASSWORD_FILE=/etc/store-settings",
        command="",
    ),
    "redis": StoreSpec(
        credential="redisUrl",
        address="redis://:{token}@{host}:{port}/0",
        port=6379,
        image="docker.io/valkey/valkey:8.1",
        path="/data",
        settings="requirepass $token",
        options="",
        command='valkey-server /etc/store-settings --maxmemory-policy allkeys-lru --save ""',
    ),
}
