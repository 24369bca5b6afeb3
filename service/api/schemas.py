"""Shapes of the HTTP API; field names on the wire are camelCase."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints
from pydantic.alias_generators import to_camel

MAX_QUERY_CHARS = 4000
MAX_TOP_K = 20
MAX_AUTHOR_CHARS = 200

_NOT_BLANK = Field(json_schema_extra={"pattern": r"\S"})  # said to readers; stripping and min_length see to it
QueryText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARS), _NOT_BLANK
]
AuthorName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_AUTHOR_CHARS), _NOT_BLANK
]


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class _Result(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Filters(_Body):
    """Restrictions that are never widened: where one can't be applied, the request fails."""

    model_config = ConfigDict(frozen=True)  # hashable: pydantic deep-copies a default that is not, on every request

    author: AuthorName | None = None


class SearchRequest(_Body):
    """A query; an unknown key is an error, so that a misspelt filter can't be ignored."""

    query: QueryText
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K, strict=True), WHOLE] | None = None
    filters: Filters = Filters()


class RagRequest(SearchRequest):
    """A question to answer."""

    stream: StrictBool | None = None


class Source(_Result):
    """A chunk; `score` is cosine similarity to the query, -1 to 1."""

    id: str
    collection: str
    score: float
    title: str
    url: str
    author: str


class SearchResult(Source):
    """A chunk with its text."""

    text: str


class Timings(BaseModel):
    """Milliseconds per stage; 0 where a stage did not run."""

    self_query_ms: float
    query_expansion_ms: float
    retrieval_ms: float
    reranking_ms: float
    generation_ms: float
    total_ms: float


class UsageOut(_Result):
    """Tokens and spend; `costUsd` has 6 decimals and is null where a paid call has no known price."""

    input_tokens: int
    output_tokens: int
    cost_usd: str | None


class SearchResponse(_Result):
    """Chunks, best first."""

    results: list[SearchResult]
    timings: Timings
    served_by: str
    degraded: list[str]
    skipped: list[str]
    request_id: str


class RagResponse(_Result):
    """An answer; a mark [n] in it is `sources[n - 1]`, and `citations` lists the marks that were checked."""

    answer: str
    citations: list[int]
    sources: list[Source]
    timings: Timings
    usage: UsageOut
    cached: bool
    served_by: str
    degraded: list[str]
    skipped: list[str]
    request_id: str


class TokenText(BaseModel):
    """Data of a `token` event."""

    text: str


class OpenAIError(BaseModel):
    """The same error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIErrorBody(BaseModel):
    """What OpenAI's API answers on an error, and what ends a stream that broke."""

    error: OpenAIError


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    stage: str | None = None
    error: OpenAIError | None = None


class Health(_Result):
    """State of the process and, as information only, of what it depends on."""

    status: str
    release: str
    served_by: str
    dependencies: dict[str, str]
