"""An OpenID Connect provider on a real port: discovery, published keys, and tokens signed by real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.real_processes import Door, HttpServer

AUDIENCE = "rag"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def published(key: PrivateKey, key_id: str, **more: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    public: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)  # type: ignore[arg-type]
    return public | {"kid": key_id, "use": "sig"} | more


@dataclass
class Provider:
    """What it publishes can be changed; `asked` are the paths in order."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)
    server: HttpServer | None = None

    @property
    def issuer(self) -> str:
        assert self.server
        return self.server.url

    def app(self) -> Starlette:
        paths = {"/.well-known/openid-configuration": self._description, "/keys": self._keys}
        return Starlette(routes=[Route(path, answer) for path, answer in paths.items()])

    async def _description(self, request: Request) -> Response:
        return self._answer(request, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"} | self.described)

    async def _keys(self, request: Request) -> Response:
        return self._answer(request, {"keys": self.keys})

    def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        self.asked.append(request.url.path)
        return JSONResponse(body, self.status)

    def token(self, key: PrivateKey | bytes | None, key_id: str | None, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "nbf": now - 5, "iat": now}
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, key, algorithm, headers={} if key_id is None else {"kid": key_id})


@contextmanager
def provider(door: Door, *keys: dict[str, Any]) -> Iterator[Provider]:
    one = Provider(list(keys))
    with door.opened(one.app()) as one.server:
        yield one


def tampered(token: str, **claims: Any) -> str:
    """The token with other claims under the old signature."""
    head, body, signature = token.split(".")
    told = json.loads(jwt.utils.base64url_decode(body)) | claims
    return ".".join([head, jwt.utils.base64url_encode(json.dumps(told).encode()).decode(), signature])
