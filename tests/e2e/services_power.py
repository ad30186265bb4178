"""A vehicle whose agent and containers are real, and can be killed: all of them at once, or the agent alone.

Rule 1: what runs is looked up in the machine, not asked of the agent: the versions say who they are in their
        command lines.
Rule 2: nothing is left behind, whatever happens in a test: processes, control groups, mounts.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.adapters import cgroups
from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.overlay import mounted, unmount
from edge_agent.adapters.runtime_oci import group_of
from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from fairway.errors import Unavailable
from fairway.services.manifest import service_document
from fairway.services.model import Change, Check, Command, Health, How, Service
from ota.images.build import Planned, Recipe, Settings, build
from ota.images.members import RootFs, members
from tests.containers import need
from tests.services_child import GROUP
from tests.shared_data import ROOT
from tests.small_image import HERE
from tests.yards import busybox_layer

WITHIN_S = 60.0  # for a machine that does much else


class Vehicle:
    """The vehicle."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.token = folder, uuid.uuid4().hex[:12]
        (folder / "spool").mkdir()
        # Sockets have short paths.
        self.run_dir = Path(tempfile.mkdtemp(prefix="fairway-"))
        self.log = folder / "agent.log"
        self.child: subprocess.Popen[bytes] | None = None
        root = members(RootFs(busybox_layer(folder)), epoch_s=0)
        recipe = Recipe((Planned(root, "test"),), Settings(("/bin/busybox", "sh")), HERE)
        self.image = build(recipe, folder / "layout", lambda _: None).digest

    def take_image(self) -> None:
        """Have the image in the vehicle before an agent runs."""

        async def take() -> None:
            (self.folder / "services" / "images").mkdir(parents=True, exist_ok=True)
            store = ImageStore(self.folder / "services" / "images")
            await store.take(self.folder / "layout")
            store.close()

        asyncio.run(take())

    def service(
        self, version: str, name: str = "one", *, how: How = How.AFTER, is_good: bool = True
    ) -> Service:
        """Return a version that says in its command line who it is; a bad one is never ready."""
        say = f": {self.token} {name} {version}; trap 'exit 0' TERM; sleep 1000 & wait"
        ready = Command(("/bin/busybox", "true" if is_good else "false"))
        check = Check(ready, interval_s=1.0, timeout_s=30.0)
        return Service(
            name=name,
            version=version,
            image=self.image,
            command=("/bin/busybox", "sh", "-c", say),
            stop_grace_s=1.0,
            health=Health(readiness=check, within_s=20.0 if is_good else 1.5),
            change=Change(how),
        )

    # the agent

    def start(self) -> None:
        """Start an agent."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "tests.services_child", str(self.folder), str(self.run_dir)],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.until("the agent's desk", lambda: self.is_dead() or self.listed() is not None)
        assert not self.is_dead(), self.log.read_text()[-3000:]

    def kill_agent(self) -> None:
        """kill -9 of the agent alone."""
        if self.child is not None:
            self.child.kill()
            self.child.wait(30)
            self.child = None

    def kill_everything(self) -> None:
        """kill -9 of agent and containers, as a power cut does."""
        self.kill_agent()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.until("the end of all containers", lambda: not self.processes())

    def is_dead(self) -> bool:
        """Whether the agent ended by itself."""
        return self.child is None or self.child.poll() is not None

    def ask(self, question: str, **more: Any) -> Any:
        """Ask the agent."""
        return ask(self.folder / "spool" / SOCKET_NAME, question, **more)

    def apply(self, *services: Service) -> None:
        """Order services."""
        self.ask("apply", services=[service_document(one) for one in services])

    def listed(self) -> list[dict[str, Any]] | None:
        """Return how services stand; None without an agent."""
        try:
            found: list[dict[str, Any]] = self.ask("list")
        except Unavailable:
            return None
        return found

    def why(self, name: str = "one") -> dict[str, Any]:
        """Return everything about a service, {} without an agent that knows it."""
        listed = self.listed()
        if not listed or all(one["name"] != name for one in listed):
            return {}
        try:
            found: dict[str, Any] = self.ask("why", name=name)
        except Unavailable:
            return {}
        return found

    # the machine

    def processes(self) -> dict[int, str]:
        """Return what runs in the machine: the first process of each container, and its version."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                said = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            match = re.search(rf": {self.token} (\S+) (\S+);", said)
            # The container program passes our words on for a moment: it is not the version yet.
            if match and said.startswith("/bin/busybox"):
                found[int(entry.name)] = f"{match[1]} {match[2]}"
        return found

    def versions(self) -> list[str]:
        """Return which versions run."""
        return sorted(self.processes().values())

    def until(self, what: str, holds: Callable[[], object], within_s: float = WITHIN_S) -> None:
        """Wait until something holds."""
        end = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > end:
                told = self.log.read_text()[-3000:] if self.log.exists() else ""
                raise AssertionError(f"{what} did not come: {json.dumps(self.why())}\n{told}")
            time.sleep(0.02)

    def until_settled(self, version: str) -> None:
        """Wait until a version is in force, ready, and alone."""

        def is_settled() -> bool:
            why = self.why()
            return bool(
                why
                and why["ready"]
                and why["change"] is None
                and why["in_force"]["version"] == version
                and self.versions() == [f"one {version}"]
            )

        self.until(f"version {version} in force", is_settled)

    def until_ready(self) -> None:
        """Wait until all services are ready."""
        self.until(
            "all services ready",
            lambda: all(one["is_ready"] for one in self.listed() or [{"is_ready": 0}]),
        )

    def kill(self, pid: int) -> None:
        """End one of the services' processes."""
        assert pid in self.processes()
        os.kill(pid, signal.SIGKILL)

    def clean(self) -> None:
        """Leave nothing behind."""
        self.kill_everything()

        async def rest() -> None:
            group = group_of(self.folder / "services" / "containers", f"/{GROUP}")
            await cgroups.remove(cgroups.look(), group)
            for point in mounted():
                if point.is_relative_to(self.folder):
                    await unmount(point)

        asyncio.run(rest())
        shutil.rmtree(self.run_dir, ignore_errors=True)


@contextlib.contextmanager
def vehicle_in(folder: Path) -> Iterator[Vehicle]:
    """Yield a vehicle with the image in it, and leave nothing of it."""
    need("runc")
    vehicle = Vehicle(folder)
    vehicle.take_image()
    try:
        yield vehicle
    finally:
        vehicle.clean()
