"""Copies of a stack's self-hosted stores: made now, listed, put back; the work is the service's own job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsctl.errors import NotDeployed, NotUsable
from opsctl.jobs.start import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.aws.copies import Copy
    from opsctl.jobs.job import Job
    from opsctl.stack import Delivery

LATEST = "latest"
ON_KUBERNETES = "kubernetes-job"


@dataclass(frozen=True, slots=True)
class Backups:
    """How copies of a stack's stores are made and found.

    Attributes:
        stores: those that can be copied.
        place: where copies are, s3://bucket/prefix.
        role: of the task that makes them; None where the platform knows it by the job.
    """

    stack: str
    delivery: Delivery
    stores: tuple[str, ...]
    place: str
    role: str | None

    @classmethod
    def of(cls, stack: str, delivery: Delivery) -> Backups:
        """Of a stack's outputs.

        Raises:
            NotUsable: it has no store that could be copied.
        """
        told: dict[str, Any] = dict((delivery.jobs or {}).get("backups") or {})  # type: ignore[call-overload]
        if not told.get("stores"):
            raise NotUsable(
                f"stack '{stack}' has no self-hosted store that a job of it copies",
                next_step="a vendor's store has the vendor's backups; instances' volumes have snapshots, see "
                "docs/operations.md#backups",
            )
        return cls(stack, delivery, tuple(told["stores"]), str(told["place"]), told.get("role"))

    def chosen(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """The stores that are meant; all where none is named.

        Raises:
            NotUsable: one is not the stack's.
        """
        if unknown := [each for each in wanted if each not in self.stores]:
            raise NotUsable(
                f"stack '{self.stack}' copies no {', '.join(unknown)}",
                next_step=f"name one of {', '.join(self.stores)}",
            )
        return wanted or self.stores

    def save(self, store: str) -> Job:
        """Start a copy.

        Raises:
            NotDeployed, CloudRefused, TimedOut
        """
        words = ["save", store, "--to", self.place, "--metrics", f"rag-platform/{self.stack}"]
        return self._started(store, words, lambda args: args)

    def restore(self, copy: Copy) -> Job:
        """Start putting a copy in the place of what the store has.

        Raises:
            NotDeployed, CloudRefused, TimedOut
        """
        words = ["restore", copy.store, "--replace", "--from", copy.uri]

        def instead(args: list[str]) -> list[str]:
            """The nodes stay: a copy has a part of each."""
            nodes = args[args.index("--node") :] if "--node" in args else []
            return [*words, *nodes]

        return self._started(copy.store, words, instead)

    def listed(self, store: str) -> tuple[Copy, ...]:
        """Its copies, newest first.

        Raises:
            CloudRefused, TimedOut
        """
        from opsctl.aws.copies import copies  # noqa: PLC0415 - boto3 is paid when it is needed

        return copies(self.delivery.region, self.place, store)

    def found(self, store: str, stamp: str) -> Copy:
        """The copy of that time, or the newest one.

        Raises:
            NotDeployed: there is none, or it was never finished.
            CloudRefused, TimedOut
        """
        see = f"see `opsctl backup --stack {self.stack} --list`"
        whole = [copy for copy in self.listed(store) if copy.finished]
        for copy in whole:
            if stamp in {LATEST, copy.stamp}:
                return copy
        raise NotDeployed(f"{self.place}/{store} has no finished copy '{stamp}'", next_step=see)

    def _started(self, store: str, words: list[str], args: Callable[[list[str]], list[str]]) -> Job:
        told = self.delivery.jobs or {}
        if told.get("kind") == ON_KUBERNETES:
            from opsctl.kube.jobs import job_from_cronjob  # noqa: PLC0415 - paid by the topology that needs it

            where = (self.delivery.region, str(told["cluster"]), str(told["namespace"]))
            return job_from_cronjob(*where, f"backup-{store}", args)
        job = start(self.stack, self.delivery, "backup", words, role=self.role)
        if job is None:
            raise NotUsable(f"stack '{self.stack}' has no machine for jobs", next_step="see docs/operations.md#backups")
        return job
