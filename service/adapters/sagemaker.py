"""A SageMaker endpoint that streams: InvokeEndpointWithResponseStream for vLLM and TGI containers.

botocore finds the credentials and the endpoint's address, signs, and takes errors and the event stream apart; the bytes
go through an async client, because boto3's own call can't be broken off while it waits for the first byte, and a
caller who leaves must free the GPU.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import botocore.session
import httpx
from botocore import parsers
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer, ParserError
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from httpx_sse import EventSource

from service.adapters import chat_stream
from service.adapters.chat_stream import STAGE
from service.adapters.http_failure import failure
from service.adapters.sagemaker_engines import ENGINES
from service.adapters.token_bound import upper_bound
from service.errors import EndpointAsleep, StageUnavailable, StartupError, UpstreamThrottled

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from service.ports import Delta, Message

# Of the calls that renew a role's credentials; a request waits for them.
RENEWING = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
OPERATION = "InvokeEndpointWithResponseStream"
CONNECT_S = 2.0
WAKE_S = 300.0  # a component at zero copies needs about five minutes: instance, container, weights
UNSIGNED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}
THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}


class SageMaker:
    """Generator port over one endpoint; `component` names the inference component where the endpoint hosts those."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        session: botocore.session.Session,
        client: BaseClient,
        *,
        endpoint: str,
        component: str | None,
        engine: str,
        model: str,
        context_tokens: int,
    ) -> None:
        self._http = http
        self._session = session
        self._meta = client.meta
        self._url = f"{client.meta.endpoint_url}/endpoints/{quote(endpoint)}/invocations-response-stream"
        self._endpoint = endpoint
        self._component = component
        self._engine = ENGINES[engine]
        self._model = model
        self._context_tokens = context_tokens

    @classmethod
    def open(
        cls,
        *,
        endpoint: str,
        component: str | None,
        engine: str,
        model: str | None,
        context_tokens: int,
        region: str | None,
        connections: int,
        read_timeout_s: float,
    ) -> Self:
        """Make the clients; nothing is sent to the endpoint before the first call.

        Raises:
            StartupError: no region is set.
        """
        session = botocore.session.Session()
        session.set_default_client_config(RENEWING)
        try:
            # Only its address is used. With keys of its own it looks for none: an edge may start where none can be had.
            client = session.create_client(
                "sagemaker-runtime",
                region_name=region,
                aws_access_key_id="none",
                aws_secret_access_key="none",  # noqa: S106 - says what it is
            )
        except NoRegionError as exc:
            raise StartupError("AWS_REGION: no region is set; set it to the endpoint's") from exc
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        http = httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(read_timeout_s, connect=CONNECT_S))
        return cls(
            http,
            session,
            client,
            endpoint=endpoint,
            component=component,
            engine=engine,
            model=model or endpoint,
            context_tokens=context_tokens,
        )

    @property
    def model_id(self) -> str:
        return self._model

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Upper bounds: the model's tokenizer is in the endpoint, which counts nothing for us."""
        return [upper_bound(text) for text in texts]

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        """Closing the iterator closes the connection, and the container stops decoding."""
        return chat_stream.in_order(self._deltas(messages, max_tokens), backend=self._endpoint)

    async def ping(self) -> None:
        """Check that credentials can be had; the endpoint itself is not asked, since every call to it is paid."""
        await asyncio.to_thread(self._sign, b"")

    async def aclose(self) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def _deltas(self, messages: Sequence[Message], max_tokens: int) -> AsyncGenerator[Delta]:
        body = json.dumps(self._engine.request(messages, max_tokens)).encode()
        headers = await asyncio.to_thread(self._sign, body)  # renewing a role's credentials asks the network
        try:
            async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
                if response.is_error:
                    raise self._refusal(response, await response.aread())
                as_sent = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=_payload(response))
                async with aclosing(EventSource(as_sent).aiter_sse()) as events:
                    async for event in events:
                        if event.data != "[DONE]":  # read on to the end, or the connection can't be used again
                            yield self._engine.delta(json.loads(event.data))
        except httpx.HTTPError as exc:
            detail = f"endpoint {self._endpoint} gave no whole answer ({type(exc).__name__})"
            raise failure(STAGE, detail, exc) from exc
        except (ParserError, ValueError, LookupError, TypeError, AttributeError) as exc:  # another shape of JSON too
            raise StageUnavailable(STAGE, f"endpoint {self._endpoint} sent what no {OPERATION} sends") from exc

    def _sign(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._component:
            headers["X-Amzn-SageMaker-Inference-Component"] = self._component
        request = AWSRequest(method="POST", url=self._url, data=body, headers=headers)
        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            name, region = self._meta.service_model.signing_name, self._meta.region_name
            SigV4Auth(credentials.get_frozen_credentials(), name, region).add_auth(request)
        # ClientError where STS refuses to renew them, OSError where the host's helper that does is missing
        except (BotoCoreError, ClientError, OSError) as exc:
            raise StageUnavailable(
                STAGE,
                f"no AWS credentials ({type(exc).__name__}); give the task, pod or host a role that may invoke it",
            ) from exc
        return dict(request.headers.items())

    def _refusal(self, response: httpx.Response, body: bytes) -> StageUnavailable:
        operation = self._meta.service_model.operation_model(OPERATION)
        said = {"status_code": response.status_code, "headers": dict(response.headers), "body": body}
        parser: Any = parsers.create_parser("rest-json")  # its stubs want a shape even for an error, which has none
        error = parser.parse(said, operation.output_shape).get("Error", {})
        return _translate(error.get("Code", ""), error.get("Message", ""), body, self._endpoint)


async def _payload(response: httpx.Response) -> AsyncIterator[bytes]:
    """What the container wrote: the payload parts of the event stream, which may split its text anywhere."""
    buffer = EventStreamBuffer()
    async for received in response.aiter_raw():
        buffer.add_data(received)
        message: Any  # its stubs take the headers for a number
        for message in buffer:
            if message.headers.get(":message-type") != "event":
                kind = message.headers.get(":exception-type") or message.headers.get(":error-code") or "error"
                raise StageUnavailable(STAGE, f"the model broke off the answer ({kind}); see the endpoint's log")
            yield message.payload


def _translate(code: str, message: str, body: bytes, endpoint: str) -> StageUnavailable:
    """SageMaker's errors in ours; their texts hold account numbers and prompts, so they are not passed on."""
    if code == "ModelNotReadyException" or "no capacity" in message.lower():
        return EndpointAsleep(STAGE, f"endpoint {endpoint} has no copy running yet", retry_after_s=WAKE_S)
    status = _container_status(body) if code == "ModelError" else None
    if code in THROTTLED or status == httpx.codes.TOO_MANY_REQUESTS:
        return UpstreamThrottled(STAGE, f"endpoint {endpoint} takes no more requests for now")
    return StageUnavailable(STAGE, f"endpoint {endpoint}: {_reason(code, status)}")


def _reason(code: str, container_status: int | None) -> str:
    if code == "ModelError":
        return f"its container answered {container_status or 'an error'}; see the endpoint's log"
    if code in UNSIGNED:
        return f"AWS refused the credentials ({code}); the role needs sagemaker:InvokeEndpoint* on it"
    if code in {"ValidationError", "ValidationException"}:
        return "it does not exist or is not in service; run `opsctl deploy-endpoint`"
    return f"SageMaker answered {code or 'an error'}"


def _container_status(body: bytes) -> int | None:
    try:
        return int(json.loads(body)["OriginalStatusCode"])
    except (ValueError, KeyError, TypeError):
        return None
