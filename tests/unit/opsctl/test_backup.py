"""`opsctl backup` and `opsctl restore`: which job is started, how, and what of a bucket counts as a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from opsctl.aws import copies as module
from opsctl.aws.copies import Copy, copies
from opsctl.follow import Line
from opsctl.jobs import start as starting
from opsctl.jobs.job import Ended
from opsctl.stack import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.opsctl.conftest import Run

PLACE = "s3://rag-backups/prod"
OLD, NEW = "20261125T030000Z", "20261126T030000Z"
TASK = {
    "topology": "ecs",
    "region": "eu-north-1",
    "cluster": {"name": "rag", "service": "api"},
    "jobs": {
        "kind": "ecs-task",
        "cluster": "rag",
        "taskDefinition": "rag:7",
        "container": "service",
        "subnets": ["subnet-1"],
        "securityGroup": "sg-1",
        "command": ["python", "-m", "service.jobs.{job}"],
        "backups": {"stores": ["mongo", "qdrant"], "place": PLACE, "role": "arn:copies"},
    },
}
CRON = {
    "topology": "eks",
    "region": "eu-north-1",
    "jobs": {
        "kind": "kubernetes-job",
        "cluster": "rag-prod",
        "namespace": "rag-prod",
        "backups": {"stores": ["mongo", "qdrant"], "place": PLACE},
    },
}


class Over:
    """A job that has ended well."""

    name, again = "job/now", "`kubectl logs`"
    lines: Any = None

    def __init__(self) -> None:
        self.lines = self

    def since(self, _: int) -> list[Line]:
        return [Line("1", 4_000_000_000_000, "pod", "saved rag/posts.bson.gz")]

    def ended(self) -> Ended:
        return Ended(0)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A bucket that holds these keys of a store."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    s3 = boto3.client("s3", region_name="eu-north-1")
    stub = Stubber(s3)
    monkeypatch.setattr(module, "client", lambda *_: s3)

    def holds(store: str, *keys: str) -> None:
        found = [{"Key": f"prod/{store}/{key}", "Size": 1024 * 1024} for key in keys]
        stub.add_response("list_objects_v2", {"Contents": found}, {"Bucket": "rag-backups", "Prefix": f"prod/{store}/"})

    with stub:
        yield holds
        stub.assert_no_pending_responses()


def whole(stamp: str) -> tuple[str, str]:
    return f"{stamp}/rag/posts.bson.gz", f"{stamp}/manifest.json"


def test_a_folder_without_its_list_of_files_is_an_unfinished_copy(bucket: Callable[..., None]) -> None:
    bucket("mongo", *whole(OLD), f"{NEW}/rag/posts.bson.gz")
    assert copies("eu-north-1", PLACE, "mongo") == (
        Copy("mongo", NEW, f"{PLACE}/mongo/{NEW}", finished=False, size=1024 * 1024),
        Copy("mongo", OLD, f"{PLACE}/mongo/{OLD}", finished=True, size=2 * 1024 * 1024),
    )


def delivers(monkeypatch: pytest.MonkeyPatch, delivery: dict[str, Any]) -> None:
    monkeypatch.setattr("opsctl.stack.read_delivery", lambda *_: Delivery.model_validate(delivery))


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Role and command of the tasks that were started."""
    delivers(monkeypatch, TASK)
    started: list[Any] = []

    def run(place: Any, command: list[str]) -> Any:
        started.append((place.role, command))
        return Over()

    monkeypatch.setattr("opsctl.aws.tasks.run_task", run)
    return started


@pytest.fixture
def cron(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Name and arguments of the jobs that were made of CronJobs."""
    delivers(monkeypatch, CRON)
    started: list[Any] = []
    there = ["save", "qdrant", "--to", PLACE, "--metrics", "m", "--node", "http://q-0", "--node", "http://q-1"]

    def make(_: object, __: object, ___: object, name: str, args: Callable[[list[str]], list[str]]) -> Any:
        started.append((name, args(list(there))))
        return Over()

    monkeypatch.setattr("opsctl.kube.jobs.job_from_cronjob", make)
    return started


class TestOnEcs:
    def test_every_store_is_copied_by_a_task_with_a_role_of_its_own(
        self, opsctl: Run, tasks: list[Any], bucket: Callable[..., None]
    ) -> None:
        bucket("mongo", *whole(NEW), *whole(OLD))
        bucket("qdrant", *whole(NEW))
        done = opsctl("backup", "--stack", "prod", "-o", "json")
        assert done.code == 0, done.err
        job = ["python", "-m", "service.jobs.backup"]
        assert tasks == [
            ("arn:copies", [*job, "save", store, "--to", PLACE, "--metrics", "rag-platform/prod"])
            for store in ("mongo", "qdrant")
        ]
        made = [(each["store"], each["made"], each["finished"]) for each in done.document["copies"]]
        assert made == [("mongo", NEW, True), ("mongo", OLD, True), ("qdrant", NEW, True)]
        assert "saved rag/posts.bson.gz" in done.err

    def test_a_list_starts_nothing(self, opsctl: Run, tasks: list[Any], bucket: Callable[..., None]) -> None:
        bucket("mongo", f"{NEW}/rag/posts.bson.gz")
        done = opsctl("backup", "mongo", "--stack", "prod", "--list")
        assert (done.code, tasks, "unfinished" in done.out) == (0, [], True)

    def test_a_restore_asks_names_the_newest_whole_copy_and_replaces(
        self, opsctl: Run, tasks: list[Any], bucket: Callable[..., None]
    ) -> None:
        keys = (*whole(OLD), f"{NEW}/rag/posts.bson.gz")
        bucket("mongo", *keys)
        refused = opsctl("restore", "mongo", "--stack", "prod")
        assert (refused.code, "give --yes" in refused.err.splitlines()[-1], tasks) == (2, True, [])
        bucket("mongo", *keys)
        done = opsctl("restore", "mongo", "--stack", "prod", "--yes", "-o", "json")
        assert done.code == 0, done.err
        assert tasks[0][1][3:] == ["restore", "mongo", "--replace", "--from", f"{PLACE}/mongo/{OLD}"]
        assert done.document["restored"]["made"] == OLD

    def test_a_copy_that_was_never_finished_is_not_put_back(
        self, opsctl: Run, tasks: list[Any], bucket: Callable[..., None]
    ) -> None:
        bucket("mongo", f"{NEW}/rag/posts.bson.gz")
        done = opsctl("restore", "mongo", "--stack", "prod", "--yes", "--from", NEW)
        assert (done.code, f"no finished copy '{NEW}'" in done.err, tasks) == (2, True, [])

    def test_a_store_that_is_not_the_stacks_is_named(self, opsctl: Run, tasks: list[Any]) -> None:
        done = opsctl("backup", "redis", "--stack", "prod")
        assert (done.code, "name one of mongo, qdrant" in done.err, tasks) == (2, True, [])


class TestOnEks:
    def test_a_copy_is_what_the_nightly_job_does(
        self, opsctl: Run, cron: list[Any], bucket: Callable[..., None]
    ) -> None:
        bucket("qdrant", *whole(NEW))
        assert opsctl("backup", "qdrant", "--stack", "prod").code == 0
        ((name, args),) = cron
        assert (name, args[:4]) == ("backup-qdrant", ["save", "qdrant", "--to", PLACE])

    def test_a_restore_keeps_the_nodes(self, opsctl: Run, cron: list[Any], bucket: Callable[..., None]) -> None:
        bucket("qdrant", *whole(NEW))
        assert opsctl("restore", "qdrant", "--stack", "prod", "--yes").code == 0
        nodes = ["--node", "http://q-0", "--node", "http://q-1"]
        assert cron == [
            ("backup-qdrant", ["restore", "qdrant", "--replace", "--from", f"{PLACE}/qdrant/{NEW}", *nodes])
        ]


def test_a_stack_without_stores_of_its_own_has_nothing_to_copy(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    delivers(monkeypatch, {**TASK, "jobs": {**TASK["jobs"], "backups": None}})  # type: ignore[dict-item]
    done = opsctl("backup", "--stack", "prod")
    assert (done.code, "no self-hosted store" in done.err) == (2, True)
    assert set(starting.STARTERS) == {"ecs-task", "kubernetes-job"}
