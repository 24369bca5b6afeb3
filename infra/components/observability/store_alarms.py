"""Alarms on self-hosted stores: full volumes, and backups that were missed or failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.components.observability.alarm import Alarm
from infra.components.observability.metrics import Math

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.components.observability.watched import Watched
    from infra.config.workload import Monitoring

BACKUP_HOURS = 26  # one a day, and two hours for a long one


def backups(watched: Watched) -> Iterator[Alarm]:
    """One for each thing that is saved: hours without a word count as zero, an older word is not looked for."""
    for kind, finished in watched.backups.items():
        yield Alarm(
            name=f"backup-missed-{kind}",
            entry="backup-missed",
            severity="notices",
            says=f"No backup of {kind} was finished for {BACKUP_HOURS} hours",
            of=Math("FILL(finished,0)", {"finished": finished}, "backups in an hour"),
            threshold=1,
            comparison="<",
            periods=BACKUP_HOURS,
            datapoints=BACKUP_HOURS,
            missing="breaching",
        )
        if finished.namespace == "AWS/EBS":  # a job that failed is seen by its silence
            yield Alarm(
                name=f"backup-failed-{kind}",
                entry="backup-missed",
                severity="notices",
                says=f"A backup of {kind} failed",
                of=replace(finished, name="SnapshotsCreateFailed"),
                threshold=0,
                periods=1,
                datapoints=1,
            )


FULL = 95  # percent: a store that can't write stops, and its volume takes minutes to grow


def disks(watched: Watched, config: Monitoring) -> Iterator[Alarm]:
    """Two for each store: one to plan by, one to act on."""
    for kind, used in watched.disks.items():
        yield Alarm(
            name=f"disk-{kind}",
            entry="disk",
            severity="notices",
            says=f"A volume of {kind} is more than {config.disk_percent} % full",
            of=used,
            threshold=config.disk_percent,
        )
        yield Alarm(
            name=f"disk-full-{kind}",
            entry="disk",
            severity="pager",
            says=f"A volume of {kind} is more than {FULL} % full",
            of=used,
            threshold=FULL,
        )
