"""Which paths answer without a credential."""

from __future__ import annotations

# Load balancers and orchestrators carry no key; what these say is no secret.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/health"})
# Served only where RAG_DOCS says so. The page is read by a browser, which can't send a key before it is typed there.
DOCS_PATHS = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json"})
DOCS_FILES = "/static-offline-docs/"
# Served only where the Lambda Web Adapter, which refuses them to everybody else, is told of them.
SNAPSHOT_BEFORE, SNAPSHOT_AFTER = "/snapstart/before", "/snapstart/after"
SNAPSHOT_PATHS = frozenset({SNAPSHOT_BEFORE, SNAPSHOT_AFTER})


def is_open(path: str) -> bool:
    """Whether everybody may ask for it; what is not named here needs a key, whether it exists or not."""
    return path in OPEN_PATHS or path in SNAPSHOT_PATHS or path in DOCS_PATHS or path.startswith(DOCS_FILES)
