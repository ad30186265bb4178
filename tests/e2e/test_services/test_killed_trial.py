"""A trial of services that was killed, or told to end: what it left goes, at the latest with the next one."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters import cgroups
from edge_agent.adapters.pidfds import has_ended
from edge_agent.adapters.runtime_oci import group_of
from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from fairway.errors import Unavailable
from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import Program, until
from tests.e2e.services_site import digest_of, vehicle
from tests.e2e.test_services.test_samples import AROUND

pytestmark = pytest.mark.slow


class Trial:
    """A trial that lasts, in a folder for temporary files of its own."""

    def __init__(self, busybox: Path, folder: Path, place: Path) -> None:
        self.place = place
        manifest = folder / "sleeper.yaml"
        manifest.write_text(
            f"name: sleeper\nversion: 1.0.0\nimage: {digest_of(busybox)}\n"
            'command: ["/bin/sh", "-c", "while :; do sleep 0.1; done"]\n'
        )
        self._words = ("--manifest", manifest, "--image", busybox)
        self._folder = folder
        self.program = self._made("0.1", drive(folder / "long.log", seconds=60))

    def _made(self, speed: str, log: Path) -> Program:
        made = Program(
            "edge-agent", "services", "try", *self._words, "--log", log,
            "--speed", speed, "--settle-s", "0", *AROUND, log=self._folder / "try.log",
        )  # fmt: skip
        made.environment = {"TMPDIR": str(self.place)}
        return made.start()

    def until_it_runs(self) -> None:
        until(
            "its container",
            lambda: not self.program.is_running or self.state() == "Running",
            within_s=60,
        )
        assert self.program.is_running, self.program.said()

    @property
    def folders(self) -> list[Path]:
        return list(self.place.glob("fairway-try-*"))

    def group(self) -> str:
        (folder,) = self.folders
        return group_of(folder / "services" / "containers", "/fairway")

    def containers(self) -> set[str]:
        return cgroups.children(cgroups.look(), self.group()) if self.folders else set()

    def state(self) -> str:
        with contextlib.suppress(Unavailable, IndexError):
            return str(ask(self.folders[0] / "data/spool" / SOCKET_NAME, "list")[0]["state"])
        return ""

    def agent(self) -> int:
        return int((self.folders[0] / "agent").read_text().split()[0])

    def another(self) -> None:
        """Run a short one to its end."""
        made = self._made("max", drive(self._folder / "short.log", seconds=2))
        made.wait(60)


@pytest.fixture
def trial(busybox: Path, tmp_path: Path) -> Iterator[Trial]:
    place = Path(tempfile.mkdtemp(prefix="t-"))  # of sockets: their paths have limits
    made = Trial(busybox, tmp_path, place)
    try:
        yield made
        assert made.folders == []
    finally:
        made.program.close()
        if made.folders:
            made.another()
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("who_comes", ["another trial", "an agent"])
def test_what_a_killed_trial_left_is_removed_by_whoever_comes_next(
    trial: Trial, tmp_path: Path, who_comes: str
):
    trial.until_it_runs()
    group, agent = trial.group(), trial.agent()
    trial.program.kill()
    until("the end of its agent", lambda: has_ended(agent))
    assert cgroups.pids(cgroups.look(), group), "services outlive their agent"

    if who_comes == "another trial":
        trial.another()
    else:
        (tmp_path / "car").mkdir()
        with vehicle(tmp_path / "car", drive(tmp_path / "drive.log", seconds=60)) as car:
            car.agent.stop()
            car.agent.environment = {"TMPDIR": str(trial.place)}
            car.agent.start()
            until("its end", lambda: not trial.folders)

    assert cgroups.children(cgroups.look(), group) == set()
    assert cgroups.pids(cgroups.look(), group) == set()
    assert not any(
        str(trial.place) in line for line in Path("/proc/mounts").read_text().splitlines()
    )


def test_a_trial_that_is_told_to_end_leaves_nothing(trial: Trial):
    trial.until_it_runs()
    group = trial.group()

    os.kill(trial.program.pid, signal.SIGTERM)

    assert trial.program.wait(60) == 1
    assert trial.folders == []
    assert cgroups.children(cgroups.look(), group) == set()


def test_a_trial_that_runs_is_left_alone_by_others(trial: Trial):
    trial.until_it_runs()
    before, containers = trial.folders, trial.containers()

    trial.another()

    assert (trial.folders, trial.containers()) == (before, containers)
    trial.program.interrupt()
    assert trial.program.wait(60) == 1
