"""Runs services on a recorded drive: a whole agent of its own, of which nothing is left.

    images taken in > agent with [replay], [onboard], [services] > the drive > what was published, denied, taken

Rule 1: agent, image, runtime, doors and rights are those of vehicles: nothing is played.
Rule 2: the drive begins when the services run, and ends when the log does; then they have some seconds more.
Rule 3: containers, mounts and folders are gone at the end, also when it was cut short; what one left that was
        killed goes at the next trial, or start of an agent (trial_folders.py).
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.adapters import trial_folders
from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from edge_agent.adapters.signals_client import Access, SignalsClient
from edge_agent.adapters.trial_folders import SERVICES, SOCKETS
from edge_agent.services.trial import Published, Ran, Value, first_of
from fairway.errors import BadInput, FairwayError, Unavailable
from fairway.services.manifest import service_to_yaml
from fairway.services.model import Service

LOOK_S = 0.2
STOP_S = 20.0
LOG_LINES = 200
VEHICLE = "TRIAL-00000000000"
# It ends when the trial does, also when that is killed (PR_SET_PDEATHSIG), and does not begin without it.
_AGENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
from edge_agent.cli import main
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried, and on what."""

    services: tuple[Service, ...]  # images by digest
    layouts: tuple[Path, ...]  # that hold these images
    log: Path
    buses: Mapping[str, Sequence[Path]]  # databases by channel of the log
    catalogs: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()
    speed: float | None = 1.0  # of the drive; None: as fast as can be
    runtime: str = "auto"
    settle_s: float = 3.0  # after the drive
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    published: Mapping[str, Published]
    ran: tuple[Ran, ...]
    logs: Mapping[str, Sequence[str]]
    drive_s: float  # how long it took here


def run_trial(trial: Trial, say: Callable[[str], None]) -> Outcome:
    """Try services; `say` is told how it goes.

    Raises BadInput for what can never run, Unavailable when the agent does not start or the time is up.
    """
    asyncio.run(trial_folders.sweep())
    with trial_folders.trial_folder() as folder:
        say("taking in images")
        (folder / SERVICES).mkdir()
        asyncio.run(_take(folder / SERVICES / "images", trial.layouts))
        with _agent(folder, _settings(folder, trial)) as child:
            return _Run(folder, trial, child, say).until_done()


@dataclass(slots=True)
class _Run:
    """One trial while it runs."""

    folder: Path
    trial: Trial
    child: "subprocess.Popen[bytes]"
    say: Callable[[str], None]
    published: dict[str, Published] = field(default_factory=dict)
    peaks: dict[str, tuple[int, float]] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    _started_s: float = field(default_factory=time.monotonic)

    def until_done(self) -> Outcome:
        """Follow the drive to its end, and tell what came of it."""
        self._until("the agent's door", lambda: self._has_said("onboard_listen"))
        threading.Thread(target=self._listen, daemon=True).start()
        self.say("starting services")
        self._until("the services", self._has_begun)
        self.say(f"driving {self.trial.log}")
        begun_s = time.monotonic()
        self._until("the end of the drive", lambda: self._has_said("sources_ended"))
        drive_s = time.monotonic() - begun_s
        ends_s = time.monotonic() + self.trial.settle_s
        while time.monotonic() < ends_s:
            self._look()
            time.sleep(LOOK_S)
        self.say("stopping services")
        ran = tuple(self._ran(service) for service in self.trial.services)
        logs = {one.name: self._ask("logs", name=one.name, last=LOG_LINES) for one in ran}
        for service in self.trial.services:
            self._ask("stop", name=service.name)
        self._until("the end of services", self._have_stopped)
        return Outcome(dict(self.published), ran, logs, drive_s)

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        while not done():
            if self.child.poll() is not None:
                raise BadInput(f"the agent ended: {_last_words(self.folder)}")
            if time.monotonic() - self._started_s > self.trial.timeout_s:
                raise Unavailable(f"{what} did not come within {self.trial.timeout_s:g} s")
            self._look()
            time.sleep(LOOK_S)

    def _has_said(self, event: str) -> bool:
        return any(f'"event": "{event}"' in line for line in _said(self.folder))

    def _has_begun(self) -> bool:
        with contextlib.suppress(Unavailable):
            return all(one["state"] not in ("Pending", "") for one in self._ask("list"))
        return False

    def _have_stopped(self) -> bool:
        return all(one["state"] not in ("Running", "Stopping") for one in self._ask("list"))

    def _ask(self, question: str, **more: Any) -> Any:
        return ask(self.folder / "data" / "spool" / SOCKET_NAME, question, **more)

    def _look(self) -> None:
        """Note what services take, and whether they are ready."""
        with contextlib.suppress(Unavailable):
            for one in self._ask("list"):
                memory, cpu = self.peaks.get(one["name"], (0, 0.0))
                self.peaks[one["name"]] = max(memory, one["memory_bytes"]), max(cpu, one["cpu"])
                if one["is_ready"]:
                    self.ready.add(one["name"])

    def _ran(self, service: Service) -> Ran:
        why = self._ask("why", name=service.name)
        memory, cpu = self.peaks.get(service.name, (0, 0.0))
        exits = [one["last_exit"] for one in why["instances"].values() if one["last_exit"]]
        return Ran(
            service.name,
            service.version,
            why["state"],
            why["why"],
            why["restarts"],
            why["failures"],
            why["out_of_memory"],
            tuple(f"{one['action']} {one['what']} ({one['count']} times)" for one in why["denied"]),
            memory,
            cpu,
            exits[-1] if exits else "",
            service.name in self.ready,
        )

    def _listen(self) -> None:
        """Note what services publish, until the agent ends."""
        paths = [path for one in self.trial.services for path in one.signals.provide]
        if not paths:
            return
        where = f"unix:{self.folder / 'data' / 'onboard.sock'}"
        with (
            contextlib.suppress(FairwayError, ValueError),
            SignalsClient(Access(where, "", None, None, None)) as client,
        ):
            for news in client.watch(paths, interval_ms=0, seconds=None):
                for told in news.told:
                    if told.value is not None:
                        self._note(told.path, _plain(told.value))

    def _note(self, path: str, value: Value) -> None:
        known = self.published.get(path)
        self.published[path] = first_of(path, value) if known is None else known.with_one(value)


def _plain(value: Any) -> Value:
    if isinstance(value, bool | str):
        return value
    return float(value) if isinstance(value, int | float) else json.dumps(value)


async def _take(folder: Path, layouts: Sequence[Path]) -> None:
    store = ImageStore(folder)
    try:
        for layout in layouts:
            await store.take(layout)
    finally:
        store.close()


@contextlib.contextmanager
def _agent(folder: Path, settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    config = folder / "agent.toml"
    config.write_text(settings)
    with (folder / "agent.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - this program again
            [sys.executable, "-c", _AGENT, str(os.getpid()), "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        trial_folders.note_agent(folder, child.pid)
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _settings(folder: Path, trial: Trial) -> str:
    manifests = folder / "manifests"
    manifests.mkdir()
    names = []
    for service in trial.services:
        path = manifests / f"{service.name}.yaml"
        path.write_text(service_to_yaml(service))
        names.append(path)
    processes = [one.name for one in trial.services if not one.image]
    buses = "".join(
        f"[[bus]]\nname = {_toml(name)}\ndatabases = {_toml([str(p.absolute()) for p in paths])}\n"
        for name, paths in trial.buses.items()
    )
    speed = "max" if trial.speed is None else trial.speed
    return f"""\
[vehicle]
id = "{VEHICLE}"
{buses}
[signals]
catalogs = {_toml([str(path.absolute()) for path in trial.catalogs])}
overlays = {_toml([str(path.absolute()) for path in trial.overlays])}
[telemetry]
collect = "none"
[replay]
log = {_toml(str(trial.log.absolute()))}
speed = {_toml(speed)}
resume = false
after_services = true
[spool]
dir = {_toml(str(folder / "data" / "spool"))}
[onboard]
trust_socket = true
[log]
json = true
[services]
dir = {_toml(str(folder / SERVICES))}
run_dir = {_toml(str(folder / SOCKETS))}
runtime = {_toml(trial.runtime)}
manifests = {_toml([str(path) for path in names])}
processes = {_toml(processes)}
usage_interval_s = 0.5
"""


def _toml(value: Any) -> str:
    return json.dumps(value)  # texts, numbers and lists of texts are written alike


def _said(folder: Path) -> list[str]:
    return (folder / "agent.log").read_text(errors="replace").splitlines()


def _last_words(folder: Path) -> str:
    lines = _said(folder)
    return lines[-1][:500] if lines else "it said nothing"
