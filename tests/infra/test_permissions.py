"""Names of roles: whatever a stack is called, IAM takes them."""

import pytest

from infra.components.permissions import role_prefix


@pytest.mark.parametrize("length", [1, 56])
def test_a_name_that_fits_is_left_to_pulumi(length: int) -> None:
    assert role_prefix("r" * length) is None


@pytest.mark.parametrize("length", [57, 90])
def test_a_longer_one_is_cut_to_what_iam_takes(length: int) -> None:
    made = role_prefix("rag-platform-" + "r" * (length - 13))
    assert made is not None
    assert made.endswith("r-")
    assert len(made) == 38
