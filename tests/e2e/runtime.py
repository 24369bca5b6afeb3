"""Plays the container runtime that the emulator lacks: runs what an ECS service's task definition declares.

It watches one service and starts `python -m service` with exactly the environment that the running definition declares:
secrets fetched by their ARN with the execution role, credentials of the task role. What a container would have and this
machine can't give is overridden, each name with its reason. One local URL leads to the newest healthy task; the task
before is drained and stopped as ECS stops it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
from botocore.credentials import Credentials
from starlette.requests import Request
from starlette.responses import Response

from tests.real_processes import free_port, serve, wait_until

CONTAINER = "service"
POLL_S = 0.5
START_S = 180.0  # the grace period of the service
DRAIN_S = 30.0  # the target group's deregistration delay
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "host", "accept-encoding"}


@dataclass(frozen=True)
class Override:
    """A value in the place of the declared one, and why the declared one can't be used here."""

    value: str
    why: str


@dataclass
class Task:
    """One running container: a process, where it answers, and the requests that it has not answered yet."""

    revision: str
    declared: Mapping[str, str]
    process: subprocess.Popen[bytes]
    url: str
    stop_timeout_s: float
    in_flight: int = 0

    def healthy(self) -> bool:
        """What the target group asks."""
        assert self.process.poll() is None, f"{self.revision} ended with code {self.process.returncode} while starting"
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """SIGTERM, then SIGKILL after the definition's stopTimeout."""
        self.process.terminate()
        try:
            return self.process.wait(self.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass
class Front:
    """The load balancer's stand-in: each request goes to the task that is the target when it comes."""

    target: Task | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        task = self.target
        if task is None:
            return Response("no healthy target", 503)
        task.in_flight += 1
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as http:  # noqa: S501 - loopback
                got = await http.request(
                    request.method,
                    f"{task.url}{request.url.path}",
                    content=await request.body(),
                    headers=_forwarded(request.headers),
                )
        except httpx.TransportError as exc:
            return Response(repr(exc), 502)
        finally:
            task.in_flight -= 1
        return Response(got.content, got.status_code, _forwarded(got.headers))


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


@dataclass
class ContainerRuntime:
    """One service's tasks; `url` answers once the first is healthy.

    Attributes:
        issued: credentials of assumed roles by access key, as AWS would know them.
        history: revisions in the order in which they became the target, and how the one before ended.
    """

    cluster: str
    service: str
    region: str
    folder: Path
    overrides: Mapping[str, Override] = field(default_factory=dict)
    url: str = ""
    issued: dict[str, Credentials] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    front: Front = field(default_factory=Front)
    _roles: dict[str, Credentials] = field(default_factory=dict)
    _failure: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Follow the service in a thread; its tasks end with it."""
        stopped = threading.Event()
        with serve(self.front) as server:
            self.url = server.url
            thread = threading.Thread(target=self._follow, args=(stopped,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                stopped.set()
                thread.join(START_S)

    @property
    def task(self) -> Task:
        """The target now."""
        assert self.front.target is not None
        return self.front.target

    def wait_for(self, revision: str) -> None:
        """Until `revision` is the target."""

        def there() -> bool:
            if self._failure is not None:
                raise AssertionError(f"the container runtime failed: {self._failure!r}") from self._failure
            return self.front.target is not None and self.front.target.revision == revision

        wait_until(there, within_s=START_S, what=f"{revision} behind {self.url}")

    def _follow(self, stopped: threading.Event) -> None:
        try:
            while not stopped.wait(POLL_S):
                wanted = self._wanted()
                if self.front.target is None or wanted != self.front.target.revision:
                    self._replace(wanted)
        except BaseException as exc:  # noqa: BLE001 - told by `wait_for`, in the test's own thread
            self._failure = exc
        finally:
            if self.front.target is not None:
                self.exit_codes.append(self.front.target.stop())

    def _wanted(self) -> str:
        ecs: Any = boto3.client("ecs", region_name=self.region)
        (service,) = ecs.describe_services(cluster=self.cluster, services=[self.service])["services"]
        (primary,) = [each for each in service["deployments"] if each["status"] == "PRIMARY"]
        return str(primary["taskDefinition"])

    def _replace(self, revision: str) -> None:
        """Start, wait for health, send requests there, drain and stop the one before."""
        before, started = self.front.target, self._start(revision)
        try:
            wait_until(started.healthy, within_s=START_S, what=f"health of {revision}")
        except BaseException:
            started.stop()
            raise
        self.front.target = started
        self.history.append(revision)
        if before is not None:
            wait_until(lambda: before.in_flight == 0, within_s=DRAIN_S, what=f"the last answer of {before.revision}")
            self.exit_codes.append(before.stop())

    def _start(self, revision: str) -> Task:
        ecs: Any = boto3.client("ecs", region_name=self.region)
        definition = ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
        (container,) = [each for each in definition["containerDefinitions"] if each["name"] == CONTAINER]
        declared = self._declared(definition, container)
        port = free_port()
        environment = {
            **_platform(self._role(definition["taskRoleArn"])),
            **declared,
            **{name: override.value for name, override in self.overrides.items()},
            **{name: override.value for name, override in _own_network(port).items()},
        }
        with (self.folder / f"{revision.rpartition(':')[2]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service"],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return Task(revision, declared, process, f"http://127.0.0.1:{port}", float(container["stopTimeout"]))

    def _declared(self, definition: dict[str, Any], container: dict[str, Any]) -> dict[str, str]:
        """Plain values, and secrets as ECS fetches them before it starts a container."""
        key = self._role(definition["executionRoleArn"])
        vault: Any = boto3.client(
            "secretsmanager",
            region_name=self.region,
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            aws_session_token=key.token,
        )
        plain = {each["name"]: each["value"] for each in container["environment"]}
        fetched = {
            each["name"]: vault.get_secret_value(SecretId=each["valueFrom"])["SecretString"]
            for each in container.get("secrets", [])
        }
        return plain | fetched

    def _role(self, arn: str) -> Credentials:
        if arn not in self._roles:
            sts: Any = boto3.client("sts", region_name=self.region)
            given = sts.assume_role(RoleArn=arn, RoleSessionName="task")["Credentials"]
            key = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
            self._roles[arn] = self.issued[key.access_key] = key
        return self._roles[arn]


def _platform(role: Credentials) -> dict[str, str]:
    """What AWS and the image give every container, whatever its definition says."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],  # AWS is on loopback here
        "AWS_ACCESS_KEY_ID": role.access_key,  # the credentials endpoint of ECS gives the same three
        "AWS_SECRET_ACCESS_KEY": role.secret_key,
        "AWS_SESSION_TOKEN": role.token or "",
    }


def _own_network(port: int) -> dict[str, Override]:
    shared = "a task has its own network interface; here two tasks share one loopback"
    return {
        "RAG_HOST": Override("127.0.0.1", shared),
        "RAG_PORT": Override(str(port), shared),
        "RAG_METRICS_PORT": Override(str(free_port()), shared),
    }
