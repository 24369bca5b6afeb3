"""Against the sagemaker SDK itself, in the environment of `make test-sagemaker`: what it knows, and what it prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from opsctl.endpoint.images import image_for
from opsctl.errors import NotUsable


def test_tgi_is_the_sdks_last_release() -> None:
    image = image_for("tgi", "eu-north-1", "ml.g5.2xlarge")
    assert image.uri.startswith("763104351884.dkr.ecr.eu-north-1.amazonaws.com/huggingface-pytorch-tgi-inference:")
    assert "tgi3.3" in image.uri  # the last line before the project was archived


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("ap-southeast-5", "550225433462.dkr.ecr.ap-southeast-5.amazonaws.com"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_sdk_knows_the_registry_where_the_table_does_not(region: str, registry: str) -> None:
    assert image_for("vllm", region, "ml.g5.2xlarge").uri == f"{registry}/vllm:server-sagemaker-cuda-v1"


@pytest.mark.parametrize("region", ["eu-central-1", "eu-north-1", "eu-west-1", "us-east-1", "us-west-2"])
def test_the_table_has_the_sdks_accounts(region: str) -> None:
    vllm, tgi = (image_for(engine, region, "ml.g5.2xlarge") for engine in ("vllm", "tgi"))
    assert vllm.uri.partition("/")[0] == tgi.uri.partition("/")[0]


def test_a_region_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(NotUsable, match="Unsupported region: xx-north-1"):
        image_for("tgi", "xx-north-1", "ml.g5.2xlarge")


def test_the_sdks_talk_stays_off_both_streams() -> None:
    code = "from opsctl.endpoint.images import image_for; image_for('tgi', 'us-east-1', 'ml.g5.2xlarge')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
