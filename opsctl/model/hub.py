"""A model on the Hugging Face hub, read by ranges, so that no copy of it has to fit on this machine's disk."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Self

from opsctl.errors import CloudRefused, NoSuchModel, NotUsable, TimedOut, ToolMissing
from opsctl.model.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.settings import Hub

LIMIT_S = 60.0
# Other spellings of the same weights, and what only a reader of the hub's page needs.
LEFT_OUT = [
    "*.bin",
    "*.pth",
    "*.pt",
    "*.gguf",
    "*.onnx",
    "*.h5",
    "*.msgpack",
    "original/*",
    ".*",
    "*.md",
    "*.png",
    "*.jpg",
]


@dataclass(frozen=True, slots=True)
class HubWeights:
    """The files of one commit.

    Attributes:
        small: content of the files that the hub keeps in git, which it announces no SHA-256 of.
        disk: the hub's client, that reads files by range.
    """

    model: str
    revision: str
    files: tuple[WeightFile, ...]
    hub: Hub
    small: dict[str, bytes] = field(repr=False)
    disk: Any = field(repr=False)

    @classmethod
    def open(cls, model: str, revision: str, hub: Hub) -> Self:
        """List the files of `revision`: a branch, a tag, or a commit.

        Raises:
            NotUsable: no such model or revision, no access to it, or no safetensors in it.
            ToolMissing: huggingface-hub isn't installed.
            CloudRefused, TimedOut
        """
        with translated(model, hub):
            from huggingface_hub import HfApi  # noqa: PLC0415 - only a copy from the hub pays for it

            api = HfApi(endpoint=hub.url, token=hub.token or False)
            info = api.model_info(model, revision=revision, files_metadata=True, timeout=LIMIT_S)
            commit, listed = str(info.sha), info.siblings or []
            kept = [each for each in listed if not any(fnmatch(each.rfilename, pattern) for pattern in LEFT_OUT)]
            if not any(each.rfilename.endswith(".safetensors") for each in kept):
                raise NotUsable(
                    f"{model} has no weights as safetensors",
                    next_step="convert it, then give the folder with --from",
                )
            disk, root = _disk(hub), f"{model}@{commit}"
            small = {each.rfilename: _get(disk, f"{root}/{each.rfilename}") for each in kept if each.lfs is None}
        files = tuple(_file(each, small) for each in kept)
        return cls(model, commit, files, hub, small, disk)

    def read(self, file: WeightFile, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`."""
        if file.path in self.small:
            return self.small[file.path][start:end]
        with translated(self.model, self.hub):
            return _get(self.disk, f"{self.model}@{self.revision}/{file.path}", start, end)


def read_small(model: str, path: str, hub: Hub) -> bytes:
    """The content of one small file of the newest commit.

    Raises:
        NotUsable, ToolMissing, CloudRefused, TimedOut
    """
    with translated(model, hub):
        return _get(_disk(hub), f"{model}/{path}")


def _file(listed: Any, small: dict[str, bytes]) -> WeightFile:  # noqa: ANN401 - the hub's own class
    if listed.lfs is None:
        data = small[listed.rfilename]
        return WeightFile(listed.rfilename, len(data), hashlib.sha256(data).hexdigest())
    return WeightFile(listed.rfilename, listed.lfs.size, listed.lfs.sha256)


def _disk(hub: Hub) -> Any:  # noqa: ANN401 - the hub's own class, imported where it is needed
    from huggingface_hub import HfFileSystem  # noqa: PLC0415

    return HfFileSystem(endpoint=hub.url, token=hub.token or False, skip_instance_cache=True)


def _get(disk: Any, path: str, start: int = 0, end: int | None = None) -> bytes:  # noqa: ANN401 - as above
    """A range of a file, with the hub client's own patience; nothing is read ahead or kept."""
    return bytes(disk.cat_file(path, start, end, cache_type="none"))


@contextmanager
def translated(model: str, hub: Hub) -> Iterator[None]:
    """Turn the hub's errors into opsctl's."""
    try:
        from httpx2 import HTTPError, TimeoutException  # noqa: PLC0415 - the hub client's own transport
        from huggingface_hub import errors  # noqa: PLC0415
    except ImportError as exc:
        raise ToolMissing(
            "huggingface-hub isn't installed",
            next_step="`pip install 'rag-platform[ops]'`, or copy a folder with --from",
        ) from exc
    try:
        yield
    except errors.GatedRepoError as exc:
        raise NoSuchModel(
            f"{model} is gated, and {'this token has' if hub.token else 'without a token there is'} no access to it",
            next_step=f"accept its terms at {hub.url}/{model}, and set HF_TOKEN or secrets.huggingFaceToken",
        ) from exc
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.EntryNotFoundError,
        FileNotFoundError,
    ) as exc:
        raise NoSuchModel(
            f"the hub shows no {model}, or not that revision or file of it",
            next_step="check the name; a private model needs HF_TOKEN or secrets.huggingFaceToken",
        ) from exc
    except errors.HFValidationError as exc:
        raise NotUsable(f"'{model}' is no name of a model", next_step="give it as owner/name") from exc
    except TimeoutException as exc:
        raise TimedOut(f"{hub.url} gave no answer about {model}", next_step="run it again; it goes on") from exc
    except (errors.HfHubHTTPError, HTTPError) as exc:
        raise CloudRefused(
            f"{hub.url} can't be read for {model}: {type(exc).__name__}", next_step="run it again; it goes on"
        ) from exc
