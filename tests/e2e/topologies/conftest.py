from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.kube import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster's API, read as its operators do."""
    made = Cluster(tmp_path_factory.mktemp("kubeconfig"))
    yield made
    made.close()
