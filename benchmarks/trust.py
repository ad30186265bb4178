"""Verification of both repositories for a vehicle of 8 ECUs, beside python-tuf's ngclient, in CPU time.

ours    both repositories of Uptane, cold (all metadata new) and warm (nothing new): four top-level roles each,
        hash bins for 8 images, agreement, counters, the solver.  Files come out of memory.
peer    python-tuf's ngclient over the Image repository alone, with the same files, from memory too: it has no
        Director, and writes what it trusts to a folder.

All keys are P-256.  Each round is one look of a vehicle; figures are the medians of the rounds.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from benchmarks.report import Row
from ota.trust.model import Ecu, Plan, Repository, Vehicle
from ota.trust.refresh import Refresh
from tests.ota.repository_simulator import RepositorySimulator, World, driven

ROUNDS = 60
GOAL_MS = 10
VEHICLE = Vehicle("CAR1", "ecu-0", tuple(Ecu(f"ecu-{n}", f"hw-{n}") for n in range(8)))


class InMemory(FetcherInterface):
    """Gives the peer the same files."""

    def __init__(self, repository: RepositorySimulator) -> None:
        self._files = repository.files

    def _fetch(self, url: str) -> Iterator[bytes]:
        content = self._files.get(url.rpartition("/")[2])
        if content is None:
            raise DownloadHTTPError("there is no such file", 404)
        yield content


def run() -> list[Row]:
    """Measure; the table says what of it met its goal."""
    world = _world()
    now_ns = world.now_ns
    cold = world.kept
    refresh = Refresh(cold, VEHICLE, now_ns)
    verdict = driven(refresh.steps(), world.file)
    assert isinstance(verdict, Plan)
    assert len(verdict.assigned) == 8
    warm = refresh.kept

    def ours(kept):
        return lambda: driven(Refresh(kept, VEHICLE, now_ns).steps(), world.file)

    first_ms, again_ms = _medians([ours(cold), ours(warm)])
    with tempfile.TemporaryDirectory() as folder:
        peer_ms = _medians([_peer(world, Path(folder))])[0]
    return [
        Row(
            "verify an 8-ECU set of both repositories, all new",
            f"{first_ms:.1f} ms of CPU",
            f"ngclient, Image repository alone {peer_ms:.1f} ms",
            first_ms,
            f"<= {GOAL_MS}",
            "ms",
        ),
        Row(
            "the same, beside ngclient on one of the two",
            f"{first_ms:.1f} ms of CPU",
            f"ngclient {peer_ms:.1f} ms",
            peer_ms / first_ms,
            ">= 1",
        ),
        Row(
            "verify an 8-ECU set again, nothing new",
            f"{again_ms:.1f} ms of CPU",
            "-",
            again_ms,
            f"<= {GOAL_MS}",
            "ms",
        ),
    ]


def _world() -> World:
    now = datetime.now(UTC).replace(microsecond=0)
    sides = [RepositorySimulator(one, now=now) for one in Repository]
    for side in sides:
        side.timestamp.expires = now + timedelta(days=1)
    world = World(
        vehicle=VEHICLE,
        director=sides[0],
        images=sides[1],
        now_ns=int(now.timestamp()) * 10**9,
    )
    bins = world.images.bins(4)
    for number in range(8):
        path = f"images/app-{number}-2.bin"
        role = bins.get_role_for_target(path)
        world.release(path, f"app-{number}", 2, hardware=f"hw-{number}", role=role)
        world.order(f"ecu-{number}", path)
        world.hold(f"ecu-{number}", f"app-{number}", 1)
    world.publish()
    return world


def _peer(world: World, folder: Path) -> Callable[[], None]:
    root = world.images.files["1.root.json"]
    paths = [path for role in world.images.roles.values() for path in role.targets]
    number = iter(range(1_000_000))

    def look() -> None:
        own = folder / str(next(number))
        own.mkdir()
        updater = Updater(
            str(own), "http://memory/", fetcher=InMemory(world.images), bootstrap=root
        )
        assert all(updater.get_targetinfo(path) for path in paths)

    return look


def _medians(jobs: list[Callable[[], object]]) -> list[float]:
    """Return the milliseconds of CPU that each job takes."""
    taken: list[list[float]] = [[] for _ in jobs]
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for job, times in zip(jobs, taken, strict=True):
                began = time.process_time()
                job()
                times.append((time.process_time() - began) * 1e3)
    finally:
        gc.enable()
    return [median(times) for times in taken]
