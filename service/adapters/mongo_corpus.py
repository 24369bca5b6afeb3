"""MongoDB as a source of documents: whole collections in one pass each, for the ingestion.

The connection is read-only by use; nothing is written, no index is asked for but that of `_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import ASCENDING, MongoClient
from pymongo.errors import ConfigurationError

from service.adapters.mongo import NOT_A_URL, USERS, translated
from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from pydantic import SecretStr

TIMEOUT_S = 30.0
BATCH = 200  # documents of one answer; MongoDB itself ends an answer at 16 MiB
# Bytes that are no UTF-8 become U+FFFD, and the cleaning judges the text: one such document must not end a run.
LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(unicode_decode_error_handler="replace", tz_aware=True)


class MongoCorpus:
    """The collections of one database, read in the order of `_id`."""

    def __init__(self, client: MongoClient[dict[str, Any]], *, database: str) -> None:
        self._client = client
        self._database = client.get_database(database, codec_options=LENIENT)
        self.database = database

    @classmethod
    def open(cls, url: SecretStr, *, database: str, timeout_s: float = TIMEOUT_S) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: not a MongoDB URL.
        """
        limit_ms = round(timeout_s * 1000)
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(
                url.get_secret_value(),
                serverSelectionTimeoutMS=limit_ms,
                connectTimeoutMS=limit_ms,
                socketTimeoutMS=limit_ms,
                maxPoolSize=2,
                appname="rag-platform-ingest",
            )
        except (ConfigurationError, ValueError) as exc:  # the text may quote the password
            raise StartupError(NOT_A_URL.format(type(exc).__name__)) from None
        return cls(client, database=database)

    def count(self, collection: str) -> int:
        """Documents in it now."""
        with translated():
            return self._database[collection].count_documents({})

    def names(self) -> Mapping[str, Mapping[str, Any]]:
        """Every user by `str(_id)`, its name's fields alone."""
        wanted = {
            "_id": 1,
            "fullName": 1,
            "full_name": 1,
            "first_name": 1,
            "last_name": 1,
            "firstName": 1,
            "lastName": 1,
        }
        return {str(user["_id"]): user for user in self._read(USERS, wanted)}

    def documents(self, collection: str) -> Iterator[Mapping[str, Any]]:
        """Every document of it, as it is stored.

        Raises:
            StageUnavailable: MongoDB gives no answer, or refuses.
        """
        return self._read(collection, None)

    def close(self) -> None:
        """Close the pool."""
        self._client.close()

    def _read(self, collection: str, fields: Mapping[str, int] | None) -> Iterator[dict[str, Any]]:
        try:
            with translated():
                found = self._database[collection].find({}, fields).sort("_id", ASCENDING).batch_size(BATCH)
                yield from found
        except BSONError as exc:
            raise StageUnavailable("documents", f"{collection} holds what is no BSON ({exc}); repair it") from exc
