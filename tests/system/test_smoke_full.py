"""The full smoke test against the service as a process, behind TLS, with keys, a cache and an OpenAI-shaped model."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from junitparser import JUnitXml
from rich.console import Console

from opsctl.endpoint.trial import Trial
from opsctl.errors import CheckFailed, CloudRefused
from opsctl.smoke.golden import Golden
from opsctl.smoke.run import Report, Target, smoke
from opsctl.smoke.suites import SUITES
from opsctl.smoke.transport import nothing_in_the_clear
from service.jobs import ingest
from tests.hashed_keys import hashed, key_book
from tests.real_processes import nginx, redis_server, serve, service
from tests.scripted_openai import ScriptedOpenAI

KEY, OTHER_KEY = "smoke-key", "other-key"  # the first one is used up
ROWS = [
    ("repos", "Loom", "Ada Lovelace", "Loom weaves patterns from punched cards, thread by thread."),
    ("posts", "Tides", "Grace Hopper", "The tide turns twice a day where the moon pulls at the sea."),
    ("articles", "Rust", "Ada Lovelace", "Iron left in wet air turns to rust, a red oxide that flakes."),
]
GOLDEN = (Golden(question="What weaves patterns from punched cards?", title="Loom", collection="repos", cited=True),)
MODERN = "ssl_protocols TLSv1.2 TLSv1.3;"
OLD = "ssl_protocols TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents, home = tmp_path_factory.mktemp("rows"), tmp_path_factory.mktemp("bundle")
    rows = [
        {"collection": c, "title": t, "author": a, "text": x, "url": f"https://example.com/{t}"} for c, t, a, x in ROWS
    ]
    (documents / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    ingest.ingest(documents, home, "flat", min_recall=0.9, threads=1)
    return home


@pytest.fixture(scope="module")
def deployed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a service that has everything that the full suite looks at."""
    book = tmp_path_factory.mktemp("keys") / "keys.json"
    book.write_text(key_book(hashed("smoke", KEY, requestsPerMinute=100), hashed("other", OTHER_KEY)))
    with redis_server() as redis, serve(ScriptedOpenAI(pace_s=0.05).app()) as model:
        told = {
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": bundle,
            "RAG_DOCUMENTS": "bundle",
            "RAG_SERVED_BY": "edge",
            "RAG_PRIVACY": "allow-cloud",
            "RAG_COLLECTIONS": "posts,articles,repos",
            "RAG_GENERATOR": "openai",
            "RAG_GENERATION_MODEL": "scripted",
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_API_KEY": "planted",
            "RAG_GENERATION_USD_PER_MTOK": "1,1",
            "RAG_QUERY_MODEL": "none",
            "RAG_AUTH": "api-keys",
            "RAG_API_KEYS_FROM": str(book),
            "RAG_CACHE": "redis",
            "RAG_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "RAG_REDIS_TIMEOUT_S": "5",
        }
        with service(told) as process:
            yield process.port


@contextmanager
def tls(folder: Path, port: int, protocols: str, monkeypatch: pytest.MonkeyPatch, days: int = 300) -> Iterator[str]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=days))
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(folder / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    files = f"ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem; "
    with nginx(folder, port, tls=files + protocols) as balancer:
        yield f"https://localhost:{balancer.port}"


def trial() -> Trial:
    return Trial("It spreads requests.", 0.1, 0.5, 12, 4)


def run(target: Target, names: set[str] | None = None, golden: tuple[Golden, ...] = GOLDEN) -> Report:
    checks = [check for check in SUITES["full"] if names is None or check.name in names]
    if names is not None:
        checks = [type(check)(check.name, check.run, check.limit_s) for check in checks]
    return asyncio.run(smoke(target, golden, limit_s=60, talk=Console(quiet=True), checks=checks))


def outcomes(report: Report) -> dict[str, tuple[str, str]]:
    return {each.name: (each.status, each.summary) for each in report.outcomes}


def test_a_whole_deployment_holds_every_promise(deployed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls(tmp_path, deployed, MODERN, monkeypatch) as url:
        target = Target(
            url, api_key=KEY, collections=("posts", "articles", "repos"), slo_s=60, model=trial, release=None
        )
        report = run(target)
    seen = outcomes(report)
    assert report.failed == (), seen
    assert [name for name, (status, _) in seen.items() if status == "n/a"] == ["plain http"]
    assert seen["plain http"][1].startswith("the address names port")
    assert seen["tls certificate"][1].startswith("TLSv1.3, trusted")
    assert "by Ada Lovelace" in seen["author filter"][1] or "by Grace Hopper" in seen["author filter"][1]
    assert "model rag-platform: whole, and in" in seen["openai api"][1]
    facts = {each.name: each.facts for each in report.outcomes}
    assert facts["rate limit"]["retryAfterSeconds"] >= 1
    assert 0 < facts["rate limit"]["accepted"] < 100
    assert 0 < facts["streaming"]["firstTokenMs"] <= facts["streaming"]["totalMs"]
    assert set(facts["collections"]["hits"]) == {"posts", "articles", "repos"}


def test_an_obsolete_protocol_and_an_authority_that_nobody_knows_are_found(
    deployed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls(tmp_path, deployed, OLD, monkeypatch) as url:
        seen = outcomes(run(Target(url), {"tls certificate", "tls versions"}))
        assert seen["tls certificate"][0] == "ok"
        assert seen["tls versions"] == (
            "failed",
            "localhost speaks TLSv1.1; the listener's policy must start with TLS 1.2",
        )
        monkeypatch.delenv("SSL_CERT_FILE")
        status, why = outcomes(run(Target(url), {"tls certificate"}))["tls certificate"]
        assert status == "failed"
        assert "the certificate of localhost is not trusted" in why


def test_a_certificate_that_nearly_ends_is_found(
    deployed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls(tmp_path, deployed, MODERN, monkeypatch, days=6) as url:
        status, why = outcomes(run(Target(url), {"tls certificate"}))["tls certificate"]
    assert status == "failed"
    assert "ends in 5 days" in why


def test_plain_http_may_redirect_or_be_shut_and_nothing_else(deployed: int) -> None:
    async def redirect(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"location", b"https://localhost/livez")]
        await send({"type": "http.response.start", "status": 301, "headers": headers})
        await send({"type": "http.response.body"})

    with serve(redirect) as balancer:
        assert asyncio.run(nothing_in_the_clear(balancer.url, 5)).summary == "301 to HTTPS"
        port = balancer.url.rpartition(":")[2]
    assert asyncio.run(nothing_in_the_clear(f"http://127.0.0.1:{port}", 5)).summary == "plain HTTP is shut"
    with pytest.raises(CheckFailed, match="answers 200 in the clear"):
        asyncio.run(nothing_in_the_clear(f"http://127.0.0.1:{deployed}", 5))


def test_what_a_deployment_lacks_is_found(deployed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Trial:
        raise CloudRefused("the endpoint sleeps", next_step="wake it")

    url = f"http://127.0.0.1:{deployed}"
    target = Target(url, api_key=OTHER_KEY, collections=("posts", "wikis"), slo_s=0.000001, model=refused)
    seen = outcomes(run(target, {"collections", "latency", "model endpoint", "tls certificate"}))
    assert seen["collections"][0] == "failed"
    assert seen["collections"][1].startswith("no hit from wikis; only from ")
    assert seen["latency"][0] == "failed"
    assert "promised are 1e-06 s; see which stage" in seen["latency"][1]
    assert seen["model endpoint"] == ("failed", "the endpoint sleeps; wake it")
    assert seen["tls certificate"] == ("n/a", "plain HTTP (loopback)")


def test_a_service_without_keys_cache_or_promises_is_held_to_the_rest(one_document: Path, tmp_path: Path) -> None:
    told = {"RAG_VECTOR_STORE": "faiss", "RAG_BUNDLE_DIR": one_document, "RAG_SERVED_BY": "edge"}
    with service(told) as process:
        golden = (Golden(question="What keeps processes up?", title="Supervisor"),)
        names = {"no key", "bad key", "rate limit", "cached repeat", "latency", "collections", "model endpoint"}
        seen = outcomes(run(Target(process.url), names, golden))
    assert {status for status, _ in seen.values()} == {"n/a"}


def test_a_limit_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def generous(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 422, "headers": []})
        await send({"type": "http.response.body"})

    monkeypatch.setattr("opsctl.smoke.gate.MOST_REQUESTS", 40)
    with serve(generous) as server:
        seen = outcomes(run(Target(server.url, api_key=KEY), {"rate limit", "no key"}))
    assert seen["rate limit"] == (
        "failed",
        "40 requests in a row were not limited; set access.requestsPerMinute",
    )
    assert seen["no key"][0] == "failed"


def test_a_deployment_that_settles_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    async def settling(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        status = 503 if len(calls) < 3 else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"retry-after", b"0")]})
        await send({"type": "http.response.body", "body": b"{}"})

    livez = [check for check in SUITES["core"] if check.name == "livez"]
    with serve(settling) as server:
        target = Target(server.url)
        once = asyncio.run(smoke(target, (), limit_s=5, talk=Console(quiet=True), checks=livez))
        assert once.failed == ("livez",)
        patient = asyncio.run(smoke(target, (), limit_s=5, talk=Console(quiet=True), patience_s=30, checks=livez))
        assert patient.failed == ()


def test_the_report_is_also_written_as_junit(deployed: int, tmp_path: Path) -> None:
    from opsctl.smoke.junit import write

    report = run(
        Target(f"http://127.0.0.1:{deployed}", api_key=OTHER_KEY, collections=("wikis",)),
        {"livez", "collections", "latency"},
    )
    write(report, tmp_path / "smoke.xml")
    suite = next(iter(JUnitXml.fromfile(str(tmp_path / "smoke.xml"))))
    assert (suite.tests, suite.failures, suite.skipped) == (3, 1, 1)


def test_httpx_and_the_handshake_trust_the_same_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from opsctl.smoke.client import trusted

    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    before = len(trusted().get_ca_certs())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert trusted().verify_mode is ssl.CERT_REQUIRED
    assert before > 50
    assert any(b"trustme" in str(each).encode().lower() for each in trusted().get_ca_certs())
    assert httpx.Client(verify=trusted())
