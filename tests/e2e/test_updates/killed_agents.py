"""Agents that install an update on real files, and are killed: one process for each life, forked from this one.

    python -m tests.e2e.test_updates.killed_agents FOLDER WAY      prints what came of it, as JSON

A life says each thing that it has done through a pipe; the parent kills it (SIGKILL) after the n-th, plays the
bootloader, and begins the next life, until the update is over.  n goes through all there is to be done.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from edge_agent.adapters import boot_simulated
from edge_agent.adapters.boot_simulated import SimulatedBoot
from edge_agent.adapters.installer_container import ContainerInstaller
from edge_agent.adapters.installer_file import FileInstaller
from edge_agent.adapters.installer_slot import SlotInstaller
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.runtime_memory import MemoryRuntime, Script
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.services import Services
from edge_agent.adapters.services_around import Around as ServicesAround
from edge_agent.adapters.services_around import Terms as ServiceTerms
from edge_agent.adapters.services_memory import (
    MemoryDoors,
    MemoryImages,
    MemoryLogs,
    MemoryProber,
)
from edge_agent.adapters.update_files import RealFiles
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around, Limits
from edge_agent.adapters.updates_store import SqliteMemory
from edge_agent.services.runtime import Exit
from edge_agent.updates.conditions import Terms
from edge_agent.updates.order import Kept, Order
from edge_agent.updates.planner import Means, order_of
from edge_agent.updates.ports import Health, Installer, Verdict
from fairway.clock import SystemClock
from fairway.services.model import Runner
from tests.edge_agent.updates.releases import bytes_of, maps_of, plan_of, service_of, sha256
from tests.edge_agent.updates.vehicle_rig import PARKED, Checks, Content, unpack

SERIALS = ("gateway", "maps", "apps")
RESTART = 75  # a life that ends with this asks for a start of the machine
WAYS = ("well", "no start", "ill service", "ill vehicle")
Say = Callable[[str], None]


class SayingFiles(RealFiles):
    """The files there are; each change is said."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, path: Path, data: bytes, offset: int) -> None:
        super().write(path, data, offset)
        self._say(f"write {path.name}")

    def sync(self, path: Path) -> None:
        super().sync(path)
        self._say(f"sync {path.name}")

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._say(f"rename {old.name}")

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._say(f"remove {path.name}")


class SayingMemory(SqliteMemory):
    """The store there is; each record is said."""

    say: Say

    def keep(self, kept: Kept) -> None:
        super().keep(kept)
        self.say(f"kept {kept.order.step if kept.order else 'nothing'}")


class Machine:
    """A machine whose bootloader is the parent."""

    def __init__(self, boots: int) -> None:
        self._boots = boots

    def boot_id(self) -> str:
        return str(self._boots)

    async def restart(self) -> None:
        os._exit(RESTART)


class Life:
    """One life of an agent."""

    def __init__(self, folder: Path, way: str, booted: str, boots: int, say: Say) -> None:
        self.folder, self.way, self.say = folder, way, say
        files = SayingFiles(say)
        boot = SimulatedBoot(folder / "boot.json", booted, files, tries=3)
        slots = {one: folder / "slots" / one for one in ("a", "b")}
        self.services = services(folder / "services", way)
        installers: dict[str, Installer] = {
            "gateway": SlotInstaller(slots, boot, folder / "records", files),
            "maps": FileInstaller(folder / "maps", files),
            "apps": ContainerInstaller("apps", self.services, KeptFiles(folder / "kept")),
        }
        memory = SayingMemory(folder / "updates.sqlite")
        memory.say = say
        ill = Verdict(Health.ILL, "no signal comes")
        self.updates = Updates(
            Around(
                memory=memory,
                machine=Machine(boots),
                installers=installers,
                content=Content(),
                checks=Checks(ill) if way == "ill vehicle" else Checks(),
                unpack=unpack,
                facts=lambda: PARKED,
                means=Means,
                clock=SystemClock(),
                folder=folder / "fetched",
                terms=Terms(),
                limits=Limits(health_within_s=3.0, health_for_s=0.0, look_s=0.01),
            )
        )

    async def live(self, version: int) -> None:
        """Take the order, or go on with it, until it is over."""
        running = asyncio.create_task(self.services.run())
        updates, plan = self.updates, plan_of(version, SERIALS)
        await updates.resume()
        if updates.kept.order is None and all(
            one.action != plan.action for one in updates.kept.done
        ):
            held = dict.fromkeys(SERIALS, "")
            order = order_of(plan, held, updates.kept, Means(), now_ns=1)
            assert isinstance(order, Order)
            await updates.take(order)
        while (wait_s := await updates.carry()) is not None:
            await asyncio.sleep(wait_s)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def services(folder: Path, way: str) -> Services:
    """Return a supervisor whose records are real, and whose containers are not."""
    clock = SystemClock()
    bad = Script(ends_after_s=0.0, exit=Exit(1))
    runtime = MemoryRuntime({"apps 2.0.0": bad} if way == "ill service" else {}, clock)
    return Services(
        ServiceTerms(Places(folder / "data", folder / "run")),
        ServicesAround(
            machines={Runner.CONTAINER: runtime},
            images=MemoryImages(has_all=True),
            doors=MemoryDoors(),
            prober=MemoryProber(),
            logs=MemoryLogs(),
            kept=KeptFiles(folder / "kept"),
            clock=clock,
        ),
    )


def lived(folder: Path, way: str, version: int, booted: str, boots: int, kill_after: int) -> int:
    """Let an agent live; kill it after so many things said (-1: never).  Return its exit code, -9: killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def say(what: str) -> None:
            os.write(writing, f"{what}\n".encode())

        code = 1
        with contextlib.suppress(BaseException):
            asyncio.run(Life(folder, way, booted, boots, say).live(version))
            code = 0
        os._exit(code)
    os.close(writing)
    said = 0
    with os.fdopen(reading, "rb") as lines:
        for _ in lines:
            said += 1
            if said == kill_after:
                os.kill(child, signal.SIGKILL)
                break
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class Vehicle:
    """What outlives agents: a folder, and a bootloader."""

    def __init__(self, folder: Path, way: str) -> None:
        self.folder, self.way, self.boots, self.booted = folder, way, 0, "a"
        (folder / "slots").mkdir(parents=True, exist_ok=True)

    def starts(self) -> None:
        """Do what a bootloader does."""
        for _ in range(10):
            self.boots += 1
            self.booted = boot_simulated.start(RealFiles(), self.folder / "boot.json", "a")
            content = (self.folder / "slots" / self.booted).read_bytes()
            if not (self.way == "no start" and content == bytes_of("gateway", 2)):
                return
        raise AssertionError("nothing starts: a brick")

    def install(self, version: int, kill_after: int = -1) -> bool:
        """Install a version; return whether the agent was killed on the way."""
        was_killed = False
        for _ in range(20):
            kill = -1 if was_killed else kill_after
            code = lived(self.folder, self.way, version, self.booted, self.boots, kill)
            if code == 0:
                return was_killed
            assert code in (-signal.SIGKILL, RESTART), code
            was_killed |= code == -signal.SIGKILL
            self.starts()
        raise AssertionError("it never ends")

    def holds(self) -> dict[str, int | str]:
        """Return what is really there."""
        known = {sha256(bytes_of("gateway", n)): n for n in (1, 2)}
        slot = self.folder / "slots" / self.booted
        current = self.folder / "maps" / "current"
        maps = {
            str(one.relative_to(current)): one.read_bytes()
            for one in sorted(current.rglob("*"))
            if one.is_file()
        }
        wanted = services(self.folder / "services", self.way).declared("apps")
        return {
            "gateway": known.get(hashlib.sha256(slot.read_bytes()).hexdigest(), "garbage"),
            "maps": next((n for n in (1, 2) if maps == maps_of(n)), "garbage"),
            "apps": next((n for n in (1, 2) if wanted == service_of(n)), "garbage"),
        }


def main() -> None:
    folder, way, stride = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    old = Vehicle(folder / "old", "well")
    old.install(1)
    kills, ends = 0, set[str]()
    for kill_after in range(1, 10_000, stride):
        place = folder / "one"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "old", place, symlinks=True)
        vehicle = Vehicle(place, way)
        vehicle.booted, vehicle.boots = old.booted, old.boots
        was_killed = vehicle.install(2, kill_after)
        memory = SqliteMemory(place / "updates.sqlite")
        done = memory.read().done[-1]
        memory.close()
        holds = vehicle.holds()
        new = 2 if done.stage == "committed" else 1
        assert set(holds.values()) == {new}, (kill_after, done, holds)
        ends.add(str(done.stage))
        if not was_killed:
            break
        kills += 1
    print(json.dumps({"way": way, "kills": kills, "ends": sorted(ends)}))


if __name__ == "__main__":
    main()
