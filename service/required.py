"""Which setting another one asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings

# Field, what asks for it, and whether that is so.
REQUIRED: tuple[tuple[str, str, Callable[[Settings], bool]], ...] = (
    ("api_keys_from", "RAG_AUTH=api-keys", lambda told: told.auth == "api-keys"),
    ("oidc_issuer", "RAG_AUTH=oidc", lambda told: told.auth == "oidc"),
    ("oidc_audience", "RAG_AUTH=oidc", lambda told: told.auth == "oidc"),
    ("qdrant_url", "RAG_VECTOR_STORE=qdrant", lambda told: told.vector_store == "qdrant"),
    ("bundle_dir", "RAG_VECTOR_STORE=faiss", lambda told: told.vector_store == "faiss"),
    ("bundle_dir", "RAG_DOCUMENTS=bundle", lambda told: told.documents == "bundle"),
    ("mongo_url", "RAG_DOCUMENTS=mongo", lambda told: told.documents == "mongo"),
    ("openai_api_key", "an OpenAI stage", lambda told: "openai" in {told.query_model, told.generator}),
    (
        "sagemaker_endpoint",
        "a SageMaker generator or fallback",
        lambda told: "sagemaker" in {told.generator, told.fallback},
    ),
    ("llamacpp_url", "RAG_GENERATOR=llamacpp", lambda told: told.generator == "llamacpp"),
    ("reranker_model", "RAG_RERANKER", lambda told: told.reranker != "none"),
    ("redis_url", "RAG_CACHE=redis", lambda told: told.cache == "redis"),
    ("fallback_url", "RAG_FALLBACK=service", lambda told: told.fallback == "service"),
)
