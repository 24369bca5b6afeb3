"""MongoDB: the ids of the users that have a name.

A user is a document of the collection `users` with `_id` and `fullName`. A name matches whole, whatever its case and
the white space between its words. An index on `fullName` lets the server read names only, not documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pymongo import AsyncMongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from service.errors import StageUnavailable, StartupError, Unreachable

if TYPE_CHECKING:
    from pydantic import SecretStr

STAGE = "documents"
USERS = "users"
NAME = "fullName"
MAX_NAMESAKES = 100
NOT_A_URL = (
    "DATABASE_HOST is no MongoDB URL ({}); give mongodb://user:password@host:27017 or mongodb+srv://..., with the "
    "password percent-encoded"
)
REFUSED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, Atlas's own


class MongoDocuments:
    """Documents port over one database."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], *, database: str) -> None:
        self._client = client
        self._users = client[database][USERS]

    @classmethod
    def open(cls, url: SecretStr, *, database: str, connections: int, timeout_s: float) -> Self:
        """Make the client; nothing is sent before the first call. `timeout_s` bounds each call as a whole.

        Raises:
            StartupError: not a MongoDB URL.
        """
        limit_ms = max(1, round(timeout_s * 1000))
        try:
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                url.get_secret_value(),
                maxPoolSize=connections,
                timeoutMS=limit_ms,
                serverSelectionTimeoutMS=limit_ms,
                connectTimeoutMS=limit_ms,
                retryReads=False,  # the pipeline tries again, and nobody below it
                appname="rag-platform",
            )
        except (ConfigurationError, ValueError) as exc:  # the text may quote the password
            raise StartupError(NOT_A_URL.format(type(exc).__name__)) from None
        return cls(client, database=database)

    async def author_ids(self, name: str) -> tuple[str, ...]:
        words = name.split()
        if not words or "\0" in name:
            return ()
        pattern = r"^\s*" + r"\s+".join(re.escape(word) for word in words) + r"\s*$"
        # A regular expression, not a collation: servers that only speak MongoDB's protocol ignore collations.
        matching = {NAME: {"$regex": pattern, "$options": "i"}}
        with translated():
            users = await self._users.find(matching, {"_id": 1}).limit(MAX_NAMESAKES).to_list()
        return tuple(str(user["_id"]) for user in users)

    async def ping(self) -> None:
        with translated():
            await self._client.admin.command("ping")

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.close()


@contextmanager
def translated() -> Iterator[None]:
    """Raise the driver's errors as the service's own."""
    try:
        yield
    except OperationFailure as exc:
        if exc.code in REFUSED:
            detail = "MongoDB refused the user or its password; correct DATABASE_HOST"
        else:
            detail = f"MongoDB answered with error {exc.code}"
        raise StageUnavailable(STAGE, detail) from exc
    except (NetworkTimeout, ServerSelectionTimeoutError) as exc:  # the time is used up
        raise StageUnavailable(STAGE, f"MongoDB gave no answer ({type(exc).__name__}); is it up?") from exc
    except AutoReconnect as exc:  # the connection was stale or its server is no primary any more
        raise Unreachable(STAGE, f"MongoDB broke the connection off ({type(exc).__name__}); is it up?") from exc
    except PyMongoError as exc:
        raise StageUnavailable(STAGE, f"MongoDB gave no answer ({type(exc).__name__}); is it up?") from exc
