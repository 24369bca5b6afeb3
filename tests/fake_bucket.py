"""S3 as far as an edge reads it: GetObject with a range, over HTTP/1.1; signatures are not looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


@dataclass
class FakeBucket:
    """Objects of one bucket by key; `asked` are keys and the byte that each read begins at."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key = scope["path"].split("/", 2)[2]
        found = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        begin = int(found[1]) if found else 0
        self.asked.append((key, begin))
        content = self.objects.get(key)
        body, status = (NO_SUCH_KEY, 404) if content is None else (content[begin:], 206 if found else 200)
        told = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/octet-stream")]
        if found and content is not None:
            told.append((b"content-range", f"bytes {begin}-{len(content) - 1}/{len(content)}".encode()))
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})
