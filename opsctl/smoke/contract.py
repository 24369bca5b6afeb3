"""The service's HTTP contract as far as a smoke test judges it; what the models refuse, the service got wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from opsctl.smoke.client import Reply

Text = Annotated[str, Field(min_length=1)]
Milliseconds = Annotated[float, Field(ge=0)]
Skippable = Milliseconds | None  # a stage whose model is not configured did not run


class Body(BaseModel):
    """A JSON body; keys that a later version adds are no fault."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Source(Body):
    """One retrieved chunk."""

    id: Text
    collection: Text
    score: float
    title: Text
    url: str
    author: str


class Hit(Source):
    """One result of a search; its text may be left out."""

    text: str = ""


class Timings(BaseModel):
    """Milliseconds per stage; all six keys are always there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    self_query_ms: Skippable
    query_expansion_ms: Skippable
    retrieval_ms: Skippable
    reranking_ms: Skippable
    generation_ms: Skippable
    total_ms: Milliseconds


class Ready(Body):
    """What /readyz answers."""

    release: str | None = None


class Health(Body):
    """What /health answers."""

    dependencies: dict[str, str] = {}


class SearchResult(Body):
    """What /search answers."""

    results: list[Hit]


class RagAnswer(Body):
    """What /rag answers."""

    answer: Text
    sources: list[Source]  # empty where nothing covers the question
    timings: Timings
    served_by: Literal["edge", "cloud"]
    cached: bool = False
    degraded: list[str] = []
    request_id: Text


class Problem(Body):
    """RFC 9457, with the request's id."""

    type: Text
    title: Text
    detail: Text
    request_id: Text


AnyBody = TypeVar("AnyBody", bound=BaseModel)


def parse(model: type[AnyBody], reply: Reply) -> AnyBody:
    """Read a reply's body as `model`.

    Raises:
        CheckFailed: names every key that is missing or wrong.
    """
    try:
        return model.model_validate_json(reply.text)
    except ValidationError as exc:
        wrong = ", ".join(f"{'.'.join(map(str, e['loc'])) or 'body'} ({e['msg']})" for e in exc.errors())
        raise CheckFailed(
            f"{reply.path} breaks the contract: {wrong}", next_step="deploy a service of the same version as opsctl"
        ) from exc
