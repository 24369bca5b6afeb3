"""What the checkout is in git's eyes: an image is made of it, all but the stack files."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.project import Project

DIRTY = "-dirty"


def changed_files(project: Project) -> list[str]:
    """What differs from the last commit; no image holds a stack file, and the way to a first image writes into it."""
    return _git(project, "status", "--porcelain", "--", ".", ":(exclude)Pulumi.*.yaml").splitlines()


def revision(project: Project) -> str:
    """The commit, marked where the tree differs from it; empty outside of a repository."""
    commit = _git(project, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    return commit + (DIRTY if commit and changed_files(project) else "")


def _git(project: Project, *words: str) -> str:
    done = subprocess.run(
        ["git", *words],  # noqa: S607 - the user's own git
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout
