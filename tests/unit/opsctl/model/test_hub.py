from __future__ import annotations

from typing import Any

import pytest

from opsctl.errors import CloudRefused, NoSuchModel, NotUsable
from opsctl.model.hub import HubWeights, read_small
from opsctl.settings import Hub
from tests.hub_server import COMMIT, TOKEN, model_hub
from tests.real_processes import free_port

MODEL = "acme/tiny"
WEIGHTS = bytes(range(256)) * 40
FILES = {
    "config.json": b'{"hidden_size": 8}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"the same again",
    "original/consolidated.pth": b"and again",
    "README.md": b"# tiny",
    ".gitattributes": b"",
}


def test_only_what_an_engine_loads_is_listed_with_its_checksums() -> None:
    with model_hub(MODEL, FILES) as hub:
        weights = HubWeights.open(MODEL, "main", Hub(hub.url))
    assert weights.revision == COMMIT
    assert {file.path: file.size for file in weights.files} == {"config.json": 18, "model.safetensors": 10240}
    assert all(len(file.sha256) == 64 for file in weights.files)


def test_a_range_is_one_request_for_just_these_bytes() -> None:
    with model_hub(MODEL, FILES) as hub:
        weights = HubWeights.open(MODEL, "main", Hub(hub.url))
        large = next(file for file in weights.files if file.path == "model.safetensors")
        hub.reads.clear()
        assert weights.read(large, 100, 5000) == WEIGHTS[100:5000]
    assert hub.reads == [("model.safetensors", "100-4999")]


def test_a_gated_model_is_refused_without_a_token_and_read_with_it() -> None:
    with model_hub(MODEL, FILES, gated=True) as hub:
        with pytest.raises(NoSuchModel, match=r"without a token there is no access.*its terms.*set HF_TOKEN"):
            HubWeights.open(MODEL, "main", Hub(hub.url))
        assert HubWeights.open(MODEL, "main", Hub(hub.url, TOKEN)).files
        assert read_small(MODEL, "config.json", Hub(hub.url, TOKEN)) == FILES["config.json"]


@pytest.mark.parametrize(
    ("model", "files", "said"),
    [
        ("acme/absent", FILES, "the hub shows no acme/absent"),
        ("not a name", FILES, "is no name of a model"),
        (MODEL, {"config.json": b"{}", "pytorch_model.bin": b"x"}, "no weights as safetensors.*--from"),
    ],
)
def test_what_can_not_be_copied_is_one_line(model: str, files: dict[str, Any], said: str) -> None:
    with model_hub(MODEL, files) as hub, pytest.raises(NotUsable, match=said):
        HubWeights.open(model, "main", Hub(hub.url))


def test_a_hub_that_is_away_is_said_to_be() -> None:
    with pytest.raises(CloudRefused, match="can't be read"):
        HubWeights.open(MODEL, "main", Hub(f"http://127.0.0.1:{free_port()}"))


def test_a_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(Hub(token=TOKEN))
