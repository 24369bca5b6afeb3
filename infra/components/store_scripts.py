"""First boot of a data store's instance: mount the data volume, fetch the credential, start the store. Plain text."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

# The volume has another device name on Nitro instances: it is the one disk without partitions. A new one is formatted.
BOOT = """#!/bin/bash
set -euo pipefail
dnf install -y docker
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
token=$(aws secretsmanager get-secret-value --region {region} --secret-id {secret} --query SecretString --output text)
umask 077
printf '%s' "$token" > /run/store-token
chown 10001:10001 /run/store-token
docker run -d --name store --restart always --user 10001:10001 --read-only --tmpfs /tmp --cap-drop ALL \\
  -p {port}:{port} -v /data/store:{path} -v /run/store-token:/run/store-token:ro {options} {image} {command}
"""


@dataclass(frozen=True)
class StoreSpec:
    """How one kind of store is started and addressed.

    Attributes:
        credential: name of its credential among the stack's secrets.
        address: what the credential holds, from token, host and port.
        image: pinned; change it to upgrade.
    """

    credential: str
    address: str
    port: int
    image: str
    path: str
    options: str
    command: str

    def script(self, region: str, secret_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        """The user data of the instance; it names the secret and never holds it."""
        return pulumi.Output.format(
            BOOT,
            region=region,
            secret=secret_arn,
            port=str(self.port),
            path=self.path,
            options=self.options,
            image=self.image,
            command=self.command,
        )


STORES = {
    "qdrant": StoreSpec(
        credential="qdrantApiKey",
        address="{token}",
        port=6333,
        image="docker.io/qdrant/qdrant:v1.15.5-unprivileged",
        path="/qdrant/storage",
        options='-e QDRANT__SERVICE__API_KEY="$token" -e QDRANT__STORAGE__SNAPSHOTS_PATH=/qdrant/storage/snapshots',
        command="",
    ),
    "mongo": StoreSpec(
        credential="mongoUrl",
        address="mongodb://rag:{token}@{host}:{port}/?authSource=admin",
        port=27017,
        image="docker.io/library/mongo:8.0",
        path="/data/db",
        options="-e MONGO_INITDB_ROOT_USERNAME=rag -e MONGO_INITDB_ROOT_PASSWORD_FILE=/run/store-token",
        command="",
    ),
    "redis": StoreSpec(
        credential="redisUrl",
        address="redis://:{token}@{host}:{port}/0",
        port=6379,
        image="docker.io/valkey/valkey:8.1",
        path="/data",
        options="",
        command='valkey-server --requirepass "$token" --maxmemory-policy allkeys-lru --save ""',
    ),
}
