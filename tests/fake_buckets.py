"""An S3 in process: objects by bucket and key, whole or in parts, as boto3's transfers write them."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MISSING = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
STARTED = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
DENIED = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@dataclass
class FakeBuckets:
    """`denied` is what every write is answered with while it is set."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    denied: bool = False

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{key:path}", self._answer, methods=["GET", "PUT", "POST", "HEAD"])])

    async def _answer(self, request: Request) -> Response:
        key, asked = request.path_params["key"], request.query_params
        if request.method == "GET":
            found = self.objects.get(key)
            return Response(MISSING, 404) if found is None else Response(found)
        if self.denied:
            return Response(DENIED, 403)
        if request.method == "POST" and "uploads" in asked:
            self.parts[key] = {}
            return Response(
                f"<InitiateMultipartUploadResult><UploadId>{key}</UploadId></InitiateMultipartUploadResult>"
            )
        body = await self._body(request)
        if request.method == "POST":
            self.objects[key] = b"".join(part for _, part in sorted(self.parts[key].items()))
            return Response('<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
        if "partNumber" in asked:
            self.parts[key][int(asked["partNumber"])] = body
        else:
            self.objects[key] = body
        return Response(headers={"ETag": '"e"'})

    async def _body(self, request: Request) -> bytes:
        """Without the frames of `aws-chunked`."""
        body = await request.body()
        if "aws-chunked" not in request.headers.get("content-encoding", ""):
            return body
        found = b""
        while body:
            head, _, body = body.partition(b"\r\n")
            size = int(head.partition(b";")[0], 16)
            if size == 0:
                return found
            found, body = found + body[:size], body[size + 2 :]
        return found
