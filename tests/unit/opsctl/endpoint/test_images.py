from __future__ import annotations

import sys

import pytest

from opsctl.endpoint.images import image_for
from opsctl.errors import NotUsable, ToolMissing

VLLM = "763104351884.dkr.ecr.eu-north-1.amazonaws.com/vllm:server-sagemaker-cuda-v1"
OWN = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/vllm@sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sagemaker", None)


def test_vllm_is_in_the_table_and_needs_no_sdk() -> None:
    image = image_for("vllm", "eu-north-1", "ml.g5.2xlarge")
    assert (image.uri, image.inference_ami) == (VLLM, "al2-ami-sagemaker-inference-gpu-3-1")
    assert "2026-11-22" in image.source


@pytest.mark.parametrize(("engine", "region"), [("tgi", "eu-north-1"), ("vllm", "ap-southeast-5")])
def test_what_only_the_sdk_knows_names_the_extra_and_the_option(engine: str, region: str) -> None:
    with pytest.raises(ToolMissing, match=r"rag-platform\[ops,sagemaker\]'`, or give --image-uri"):
        image_for(engine, region, "ml.g5.2xlarge")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["vllm", "tgi"])
def test_the_operators_own_image_wins(engine: str) -> None:
    assert image_for(engine, "eu-north-1", "ml.g5.2xlarge", OWN).uri == OWN  # type: ignore[arg-type]


def test_an_image_of_the_public_gallery_is_refused() -> None:
    with pytest.raises(NotUsable, match="public gallery"):
        image_for("vllm", "eu-north-1", "ml.g5.2xlarge", "public.ecr.aws/deep-learning-containers/vllm:server-cuda")
