"""A MongoDB database as a stream of BSON and back, in the files of mongodump: `mongorestore --gzip` reads them too.

Of each collection its documents as they are stored, its options and its indexes; views and time series are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel, MongoClient
from pymongo.errors import ConfigurationError, InvalidURI

from service.adapters.mongo import NOT_A_URL, translated
from service.errors import StartupError

if TYPE_CHECKING:
    from pydantic import SecretStr

TIMEOUT_S = 30.0
BATCH = 500
PREFIX_BYTES = 4  # a document begins with its length
MOST_BYTES = 48 * 1024 * 1024  # of one document; the server itself takes 16 MiB
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
OF_THE_SERVER = ("v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion")


class MongoDump:
    """One database, read or written as a whole."""

    def __init__(self, client: MongoClient[Any], *, database: str) -> None:
        self._client = client
        self._database = client[database]
        self.name = database

    @classmethod
    def open(cls, url: SecretStr, *, database: str, timeout_s: float = TIMEOUT_S) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: not a MongoDB URL.
        """
        limit_ms = round(timeout_s * 1000)
        try:
            client: MongoClient[Any] = MongoClient(
                url.get_secret_value(),
                serverSelectionTimeoutMS=limit_ms,
                connectTimeoutMS=limit_ms,
                socketTimeoutMS=limit_ms,
                appname="rag-platform-backup",
            )
        except (ConfigurationError, InvalidURI, ValueError) as exc:  # the text may quote the password
            raise StartupError(NOT_A_URL.format(type(exc).__name__)) from None
        return cls(client, database=database)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def collections(self) -> list[str]:
        """Names of those that hold documents of their own.

        Raises:
            StageUnavailable: it can't be asked.
        """
        with translated():
            return sorted(
                each["name"]
                for each in self._database.list_collections()
                if each.get("type", "collection") == "collection" and not each["name"].startswith("system.")
            )

    def metadata(self, collection: str) -> str:
        """Options and indexes, as mongodump writes them.

        Raises:
            StageUnavailable: it can't be asked.
        """
        with translated():
            listed = {each["name"]: each for each in self._database.list_collections()}
            indexes = [dict(each) for each in self._database[collection].list_indexes()]
        described = {
            "options": listed.get(collection, {}).get("options") or {},
            "indexes": indexes,
            "collectionName": collection,
            "type": "collection",
        }
        return json_util.dumps(described, json_options=json_util.CANONICAL_JSON_OPTIONS)

    def documents(self, collection: str) -> Iterator[bytes]:
        """Each as it is stored, in the order of `_id`.

        Raises:
            StageUnavailable: it can't be read.
        """
        with translated():
            for each in self._database.get_collection(collection, codec_options=RAW).find().sort("_id", 1):
                yield each.raw

    def replace(self, collection: str, metadata: str, documents: Iterable[bytes]) -> int:
        """Put a collection in the place of the one that is there; returns how many documents it got.

        Raises:
            StageUnavailable: it can't be written.
        """
        told = json_util.loads(metadata)
        with translated():
            self._database.drop_collection(collection)
            made = self._database.create_collection(collection, codec_options=RAW, **told["options"])
            count = 0
            for batch in _batches(documents):
                made.insert_many(batch, ordered=False)
                count += len(batch)
            indexes = [_index(each) for each in told["indexes"] if each["name"] != "_id_"]
            if indexes:
                made.create_indexes(indexes)
        return count


def cut(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The documents in a stream of BSON.

    Raises:
        ValueError: it ends within one, or is none.
    """
    held = bytearray()
    for block in blocks:
        held += block
        while len(held) >= PREFIX_BYTES:
            size = int.from_bytes(held[:PREFIX_BYTES], "little")
            if not PREFIX_BYTES < size <= MOST_BYTES:
                raise ValueError(f"no BSON: a document of {size} bytes")
            if len(held) < size:
                break
            yield bytes(held[:size])
            del held[:size]
    if held:
        raise ValueError(f"ends within a document, {len(held)} bytes too many")


def _batches(documents: Iterable[bytes]) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    for each in documents:
        batch.append(RawBSONDocument(each, RAW))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _index(told: dict[str, Any]) -> IndexModel:
    options = {key: value for key, value in told.items() if key not in {"key", *OF_THE_SERVER}}
    return IndexModel(list(told["key"].items()), **options)
