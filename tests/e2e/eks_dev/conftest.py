"""The stack `dev` on EKS, with a real control plane: it goes further than the same file in every topology does."""

from __future__ import annotations

from tests.e2e.topologies.conftest import before, cluster, documents, files, same, stack

__all__ = ["before", "cluster", "documents", "files", "same", "stack"]  # fixtures
