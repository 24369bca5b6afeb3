"""Which container image serves the model: the operator's, a row of a small dated table, or the sagemaker SDK's answer.

The SDK is an extra, is heavy, and is imported here alone, when the table doesn't know. The images are in AWS's regional
registries; SageMaker refuses those of the public gallery.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from ruamel.yaml import YAML

from opsctl.endpoint.spec import INFERENCE_AMI
from opsctl.errors import NotUsable, ToolMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC_GALLERY = "public.ecr.aws"
SDK_FRAMEWORK = "huggingface-llm"  # TGI; its registry accounts are those of all deep learning containers


@dataclass(frozen=True, slots=True)
class Image:
    """A model server's image.

    Attributes:
        inference_ami: the host image whose GPU driver it needs.
        source: who said so; for the operator to read.
    """

    uri: str
    inference_ami: str
    source: str


def image_for(engine: Literal["vllm", "tgi"], region: str, instance_type: str, given: str | None = None) -> Image:
    """The image of `engine` in `region`; `given`, the operator's own, wins.

    Raises:
        NotUsable: the public gallery, or a region that nobody knows an image in.
        ToolMissing: only the SDK knows, and it isn't installed.
    """
    if given is not None:
        if given.startswith(PUBLIC_GALLERY):
            raise NotUsable(
                f"SageMaker refuses images of the public gallery: {given}",
                next_step="give --image-uri with its copy in an ECR repository of the region",
            )
        return Image(given, INFERENCE_AMI, "--image-uri")
    table = YAML(typ="safe", pure=True).load((files("opsctl.endpoint") / "images.yaml").read_text(encoding="utf-8"))
    row = table.get(engine)
    if row is None:
        return Image(_from_sdk(region, instance_type), INFERENCE_AMI, "sagemaker SDK")
    name = f"{row['repository']}:{row['tag']}"
    if account := row["accounts"].get(region):
        uri = f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"
        return Image(uri, INFERENCE_AMI, f"{table['source']}, {table['as_of']}")
    registry = _from_sdk(region, instance_type).partition("/")[0]
    return Image(f"{registry}/{name}", INFERENCE_AMI, f"{table['source']}, registry by the sagemaker SDK")


def _from_sdk(region: str, instance_type: str) -> str:
    """TGI's image, by the SDK."""
    try:
        with _quiet():
            from sagemaker import image_uris  # noqa: PLC0415 - takes seconds to import and is an extra
    except ImportError as exc:
        raise ToolMissing(
            f"which image serves the model in {region} is known to the sagemaker SDK alone, which isn't installed",
            next_step="`pip install 'rag-platform[ops,sagemaker]'`, or give --image-uri",
        ) from exc
    retrieve: Any = image_uris.retrieve
    try:
        with _quiet():
            return str(retrieve(SDK_FRAMEWORK, region=region, instance_type=instance_type, image_scope="inference"))
    except ValueError as exc:
        said = " ".join(str(exc).split()).split(" Supported region(s)")[0]
        raise NotUsable(
            f"the sagemaker SDK knows no image for {instance_type} in {region}: {said}",
            next_step="give --image-uri, or another region",
        ) from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the SDK's notice of its own age, and its log lines, which it writes to stdout."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
