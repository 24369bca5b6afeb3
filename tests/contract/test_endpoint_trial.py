"""`opsctl endpoint test` in front of both containers: what it asks is what they take, what they say is timed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opsctl.aws.runtime import invoke
from opsctl.endpoint.spec import Engine
from opsctl.endpoint.trial import Trial, try_prompt
from opsctl.errors import CheckFailed, CloudRefused, NotDeployed, OpsctlError
from tests import fake_sagemaker
from tests.fake_sagemaker import KEYS, NO_CAPACITY, WORDS, FakeRuntime
from tests.real_processes import Door

CONTAINERS = {"vllm": fake_sagemaker.vllm, "tgi": fake_sagemaker.tgi}


@pytest.fixture
def fake(door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRuntime]:
    runtime = FakeRuntime()
    with door.opened(runtime) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", running.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
        yield runtime


def tried(engine: Engine = "vllm", component: str | None = None, max_tokens: int = 64) -> Trial:
    return try_prompt(engine, "What is it?", max_tokens, lambda body: invoke("eu-north-1", "twin", component, body))


@pytest.mark.parametrize("engine", ["vllm", "tgi"])
@pytest.mark.parametrize("part_bytes", [None, 7])
def test_both_engines_are_asked_in_their_words_and_timed(
    fake: FakeRuntime, engine: Engine, part_bytes: int | None
) -> None:
    fake.container, fake.part_bytes = CONTAINERS[engine](pace_s=0.02), part_bytes
    trial = tried(engine)
    assert trial.text == "".join(WORDS)
    assert (trial.input_tokens, trial.output_tokens) == (40, len(WORDS))
    assert 0 < trial.first_token_s <= trial.total_s
    assert trial.total_s >= 0.02 * len(WORDS)


def test_tokens_per_second_are_of_the_time_after_the_first() -> None:
    assert Trial("a b c", first_token_s=1.0, total_s=2.0, input_tokens=4, output_tokens=5).tokens_per_s == 4.0
    assert Trial("a", first_token_s=1.0, total_s=1.0, input_tokens=4, output_tokens=1).tokens_per_s is None


@pytest.mark.parametrize("component", [None, "twin-main"])
def test_each_shape_is_called_by_its_name(fake: FakeRuntime, component: str | None) -> None:
    tried(component=component)
    ((path, headers, _),) = fake.calls
    assert path == "/endpoints/twin/invocations-response-stream"
    assert headers.get("x-amzn-sagemaker-inference-component") == component


def test_a_real_model_answers(fake: FakeRuntime, llama_url: str) -> None:
    fake.container = fake_sagemaker.proxied(llama_url)
    trial = tried(max_tokens=8)
    assert trial.text.strip()
    assert 1 <= trial.output_tokens <= 8
    assert trial.input_tokens > 3


@pytest.mark.parametrize(
    ("refusal", "error", "said"),
    [
        ((400, "ValidationError", {"message": NO_CAPACITY}), CheckFailed, "sleeps.*opsctl endpoint wake"),
        (
            (400, "ValidationError", {"message": "Endpoint twin of account 1 not found."}),
            NotDeployed,
            "deploy-endpoint",
        ),
        ((424, "ModelError", {"message": "x", "OriginalStatusCode": 503}), CheckFailed, "answered 503.*endpoint logs"),
        ((403, "AccessDeniedException", {"message": "no"}), CloudRefused, "refused to invoke"),
    ],
)
def test_a_refusal_says_what_to_do(
    fake: FakeRuntime, refusal: tuple[int, str, dict[str, object]], error: type[OpsctlError], said: str
) -> None:
    fake.refusal = refusal
    with pytest.raises(error, match=said):
        tried()


def test_a_broken_stream_and_an_empty_answer_are_failures(fake: FakeRuntime) -> None:
    fake.broken_after = (3, "ModelStreamError")
    with pytest.raises(CheckFailed, match=r"broke off: .*ModelStreamError"):
        tried()
    fake.broken_after, fake.container = None, fake_sagemaker.vllm(())
    with pytest.raises(CheckFailed, match="answered nothing"):
        tried()
