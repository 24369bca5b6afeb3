"""Reads a cluster through its API, as the kubeconfig of this process says; and counts what serves while it changes."""

from __future__ import annotations

import base64
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

POLL_S = 0.05


class Cluster:
    """Lists and reads objects; paths as the API server has them."""

    def __init__(self, folder: Path) -> None:
        document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        server, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        pair = folder / "client.pem"
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        trust = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
        trust.load_cert_chain(pair)
        self._http = httpx.Client(base_url=server["server"], verify=trust, timeout=30)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> dict[str, Any]:
        answer = self._http.get(path)
        answer.raise_for_status()
        return dict(answer.json())

    def there(self, path: str) -> bool:
        return self._http.get(path).status_code == httpx.codes.OK

    def items(self, path: str) -> list[dict[str, Any]]:
        return list(self.get(path)["items"])

    def names(self, path: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.items(path)}

    def create(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self._http.post(path, json=body)

    def delete(self, path: str) -> None:
        self._http.delete(path).raise_for_status()

    def pods(self, namespace: str, name: str) -> list[dict[str, Any]]:
        return self.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/name={name}")

    @contextmanager
    def watched(self, namespace: str, name: str) -> Iterator[Watch]:
        """Counts the pods that serve until the block ends."""
        seen, over = Watch(), threading.Event()

        def count() -> None:
            while not over.wait(POLL_S):
                pods = self.pods(namespace, name)
                seen.serving.append(sum(map(serves, pods)))
                seen.revisions |= {each["metadata"]["annotations"]["rag-platform/revision"] for each in pods}

        watcher = threading.Thread(target=count)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join()


@dataclass
class Watch:
    """How many pods served at each look, and the revisions that were seen."""

    serving: list[int] = field(default_factory=list)
    revisions: set[str] = field(default_factory=set)


def eventually(holds: Callable[[], bool], *, within_s: float = 90) -> bool:
    """Whether it comes true: controllers work at their own pace."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def serves(pod: dict[str, Any]) -> bool:
    """Whether a load balancer would send to it."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return condition(pod, "Ready") == "True"


def condition(found: dict[str, Any], name: str) -> str | None:
    conditions = found.get("status", {}).get("conditions") or []
    return next((each["status"] for each in conditions if each["type"] == name), None)
