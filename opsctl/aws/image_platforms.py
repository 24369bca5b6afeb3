"""For which architectures a registry has an image."""

from __future__ import annotations

import json

import httpx
from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.errors import CloudRefused

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
SPELLED = {"amd64": "x86_64"}
LIMIT_S = 10.0


def architectures(region: str, reference: str) -> tuple[str, ...]:
    """Of an image in ECR by its digest; empty where the repository hasn't got it.

    Raises:
        CloudRefused, TimedOut
    """
    repository, _, digest = reference.partition("@")
    name = repository.partition("/")[2]
    with translated(f"the image {reference}"):
        ecr = client("ecr", region)
        try:
            found = ecr.batch_get_image(
                repositoryName=name, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=[*INDEXES, *MANIFESTS]
            )["images"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] in {"RepositoryNotFoundException", "ImageNotFoundException"}:
                return ()
            raise
        if not found:
            return ()
        manifest = json.loads(found[0]["imageManifest"])
        if "manifests" in manifest:
            return tuple(_spelled(each["platform"]["architecture"]) for each in manifest["manifests"])
        config = manifest["config"]["digest"]
        address = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=config)["downloadUrl"]
    try:
        said = httpx.get(address, timeout=LIMIT_S).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as exc:
        raise CloudRefused(
            f"the config of {reference} can't be read: {exc}", next_step="check the network, then run it again"
        ) from exc
    return (_spelled(str(said["architecture"])),)


def _spelled(architecture: str) -> str:
    return SPELLED.get(architecture, architecture)
