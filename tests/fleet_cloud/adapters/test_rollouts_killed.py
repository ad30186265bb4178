"""A cloud that is killed at each transition: the rollout goes on, and nobody is counted twice.

The matrix is every transaction of a whole rollout, cut before and after it is durable; a few are cut by kill -9
of a real process as well.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_updates import MemoryDatabase
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.model import Kept
from fleet_cloud.rollouts.records import verify_export
from tests.rollouts_kit import REGION, TENANT, Kit

VEHICLES = [f"V{number}" for number in range(5)]
GATE = {"success_percent": 50, "failure_percent": 50}
WAVES = [{"name": "first", "percent": 40, "gate": GATE}, {"name": "all", "gate": GATE}]
ILL = "V3"


class Killed(BaseException):
    """Where a process would be gone."""


class Cut:
    """Which transaction is the last, and whether it is still durable."""

    def __init__(self) -> None:
        self.at, self.is_after, self.count = -1, False, 0

    @contextmanager
    def around(self, of: Iterator[Connection]) -> Iterator[Connection]:
        self.count += 1
        is_last = self.count == self.at
        with of as connection:  # type: ignore[attr-defined] # a context manager
            yield connection
            if is_last and not self.is_after:
                raise Killed
        if is_last:
            raise Killed


class CutDatabase(MemoryDatabase):
    """A database whose process dies at one of its transactions."""

    def __init__(self) -> None:
        self.cut = Cut()
        super().__init__()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.cut.around(super().writing()) as connection:  # type: ignore[arg-type]
            yield connection


def ready(kit: Kit) -> Kept:
    kit.release()
    for name in VEHICLES:
        kit.vehicle(name)
    return kit.rollout(waves=WAVES)


def speak(kit: Kit) -> None:
    """Have each vehicle that is offered something say all of it, again if nobody heard it the last time."""
    for name in VEHICLES:
        action = kit.offered(name)
        if not action:
            continue
        stages = [Stage.DOWNLOADING, Stage.INSTALLING]
        last, fault = (Stage.ROLLED_BACK, Fault.HEALTH) if name == ILL else (Stage.COMMITTED, None)
        events = [UpdateEvent(action, n, kit.now, stage) for n, stage in enumerate(stages)]
        kit.updates.offers.tell(TENANT, name, events, kit.now)
        end = UpdateEvent(action, len(stages), kit.now, last, fault=fault)
        kit.updates.offers.tell(TENANT, name, [end], kit.now)


def go_on(kit: Kit, kept: Kept) -> None:
    """Run the rollout to its end."""
    for _ in range(20):
        kit.run(seconds=1)
        speak(kit)
        if kit.again(kept).state.is_over:
            return
    raise AssertionError(kit.again(kept))


def check(kit: Kit, kept: Kept) -> None:
    """It is over, each vehicle counts once, was offered it once, and the record is whole."""
    assert kit.again(kept).state == "FINISHED"
    wanted = {name: "rolled_back" if name == ILL else "committed" for name in VEHICLES}
    assert kit.stages(kept) == wanted
    counts = kit.updates.rollouts.counts(kept)
    assert sum(one.total for one in counts.values()) == len(VEHICLES)
    assert (sum(one.committed for one in counts.values()), counts[0].total) == (4, 2)
    keys = {key_name(kit.signer.public_key()): kit.signer.public_key()}
    lines = list(kit.updates.records.export(TENANT, kept.id, kit.now))
    assert len(list(verify_export(lines, keys))) == 1
    said = Counter(
        (record.subject, record.what)
        for name in VEHICLES
        for record in kit.updates.records.of_subject(TENANT, name)
        if record.series == kept.id
    )
    assert {said[name, "offered"] for name in VEHICLES} == {1}
    assert set(said.values()) == {1}


def transactions() -> int:
    """How many transactions a whole rollout takes."""
    database = CutDatabase()
    kit = Kit(database)
    kept = ready(kit)
    before = database.cut.count
    go_on(kit, kept)
    check(kit, kept)
    return database.cut.count - before


@pytest.mark.slow
def test_a_cloud_that_is_killed_at_any_transition_goes_on():
    total = transactions()
    for at in range(1, total + 1):
        for is_after in (False, True):
            database = CutDatabase()
            kit = Kit(database)
            kept = ready(kit)
            database.cut.at, database.cut.is_after = database.cut.count + at, is_after
            with pytest.raises(Killed):
                go_on(kit, kept)
            kit.worker = kit.worker_of(
                "next"
            )  # a new process: it has no lease, and waits for the old one
            kit.now += 31 * 10**9
            go_on(kit, kept)
            check(kit, kept)
    print(f"{2 * total} cuts")
    assert total >= 20


CHILD = """
import sys
from pathlib import Path
from tests.fleet_cloud.adapters import test_rollouts_killed as t
t.child(sys.argv[1], int(sys.argv[2]))
"""


class FileCut(Database):
    """A database in a file whose process is killed at one of its transactions."""

    last, count = -1, 0

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self.count += 1
        with super().writing() as connection:
            yield connection
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def child(url: str, last: int) -> None:
    """Run a rollout until a transaction is cut."""
    database = FileCut(url, REGION)
    kit = Kit(database)
    kept = ready(kit)
    database.last = database.count + last
    go_on(kit, kept)


@pytest.mark.slow
@pytest.mark.parametrize("last", [2, 9])
def test_a_process_that_is_killed_leaves_a_rollout_that_another_ends(tmp_path: Path, last: int):
    url = sqlite_url(tmp_path / "registry.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, url, str(last)],
        cwd=Path(__file__).parents[3],
        timeout=120,
        check=False,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    kit = Kit(Database(url, REGION))
    kit.release()
    for name in VEHICLES:
        kit.vehicle(name, ecus=False)
    (kept,) = kit.updates.rollouts.rollouts()
    kit.now += 60 * 10**9
    go_on(kit, kept)

    assert kit.again(kept).state == "FINISHED"
    assert sorted(kit.stages(kept).values()) == ["committed"] * 4 + ["rolled_back"]
    kit.database.close()
