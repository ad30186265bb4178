"""A vehicle of five ECUs, all simulated: agents come and go with the power, the vehicle stays.

    gateway  a system image in two slots      maps   a folder       apps   a service
    body     firmware in two banks            brake  firmware in one bank

A fuse burns at every record, every change of a disk, every message to an ECU, every order to the supervisor.
"""

import asyncio
import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.adapters import boot_simulated
from edge_agent.adapters.boot_simulated import SimulatedBoot
from edge_agent.adapters.flash_simulated import SimulatedFlash
from edge_agent.adapters.installer_container import ContainerInstaller
from edge_agent.adapters.installer_file import FileInstaller
from edge_agent.adapters.installer_slot import SlotInstaller
from edge_agent.adapters.installer_uds import UdsInstaller
from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around, Limits
from edge_agent.services.records import Source as Declarer
from edge_agent.services.records import instance_id
from edge_agent.updates.conditions import Facts, Terms
from edge_agent.updates.order import Kept, Order
from edge_agent.updates.planner import Means, order_of
from edge_agent.updates.ports import Health, Installer, Verdict
from fairway.clock import NS_PER_S, ManualClock
from fairway.services.model import Service
from fairway.update import Stage
from ota.manifest import Blob, Image, Source
from ota.trust.model import Plan
from tests.dropping_files import DroppingFiles, Keeps
from tests.edge_agent.updates.releases import SERIALS, bytes_of, maps_of, plan_of, sha256

DISK = Path("/disk")
PARKED = Facts(speed_km_h=0.0, is_brake_set=True, is_ignition_on=False, battery_v=12.6)


class PowerCut(BaseException):
    """The end of everything that is not durable."""


class Restarted(BaseException):
    """The vehicle starts anew, in good order."""


class Fuse:
    """Burns at the `at`-th thing that is done; None: never."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.labels = at, list[str]()

    def __call__(self, label: str) -> None:
        self.labels.append(label)
        if self.at is not None and len(self.labels) - 1 == self.at:
            self.at = None
            raise PowerCut(label)


class Supervisor:
    """A supervisor of services: what it takes is durable, and some versions never become well."""

    def __init__(self, fuse: Callable[[str], None]) -> None:
        self.fuse, self.bad = fuse, set[str]()
        self.wanted: Service | None = None

    def declared(self, name: str) -> Service | None:
        del name
        return self.wanted

    async def apply(
        self, services: Sequence[Service], *, source: Declarer = Declarer.LOCAL, retry: bool = False
    ) -> None:
        assert source is Declarer.UPDATE
        self.fuse("apply before")
        self.wanted = services[0]
        self.fuse("apply after")

    async def remove(self, name: str) -> None:
        self.fuse(f"remove {name} before")
        self.wanted = None
        self.fuse(f"remove {name} after")

    def why(self, name: str) -> dict[str, Any]:
        del name
        assert self.wanted is not None
        id_ = instance_id(self.wanted)
        is_bad = self.wanted.version in self.bad
        return {
            "bad": [{"instance": id_, "version": self.wanted.version, "why": "exit 1"}]
            if is_bad
            else [],
            "change": None,
            "in_force": {"instance": "the old one" if is_bad else id_},
            "ready": not is_bad,
            "state": "Running(Ok)",
            "why": "",
        }

    def logs(self, name: str, last: int) -> Sequence[str]:
        del last
        return [f"{name} says no"]


class FusedMemory:
    """Each record is durable whole, or not there.  What it is as bytes is the store's contract."""

    def __init__(self, fuse: Callable[[str], None]) -> None:
        self.fuse, self.record = fuse, Kept()

    def read(self) -> Kept:
        return self.record

    def keep(self, kept: Kept) -> None:
        step = kept.order.step if kept.order else "over"
        self.fuse(f"record {step} before")
        self.record = kept
        self.fuse(f"record {step} after")


class FusedKept(MemoryKept):
    def __init__(self, fuse: Callable[[str], None]) -> None:
        super().__init__()
        self.fuse = fuse

    def keep(self, name: str, record: bytes) -> None:
        self.fuse("service record before")
        super().keep(name, record)
        self.fuse("service record after")


class Content:
    """Gives the bytes of images."""

    def __init__(self, versions: Sequence[int] = (1, 2, 3)) -> None:
        self.of = {sha256(bytes_of(one, n)): bytes_of(one, n) for one in SERIALS for n in versions}
        self.taken: list[str] = []

    async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
        del most_bytes
        path.write_bytes(self.of[blob.sha256])
        self.taken.append(blob.sha256)
        return blob.length


@dataclass
class Checks:
    verdict: Verdict = field(default_factory=lambda: Verdict(Health.WELL))

    async def look(self) -> Verdict:
        return self.verdict


class Machine:
    def __init__(self) -> None:
        self.boots = 0

    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    async def restart(self) -> None:
        raise Restarted


class AtOnce(ThreadPoolExecutor):
    """Runs what is given to it where it is given."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - a power cut is one
            future.set_exception(error)
        return future


class Vehicle:
    """What outlives an agent."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where images are fetched to."""
        self.folder = folder
        self.fuse, self.heard = Fuse(), list[str]()
        self.files = DroppingFiles(DISK, self.burn)
        for name in ("slots", "boot", "maps", "body", "brake"):
            self.files.make_folder(DISK / name)
        self.files.sync_folder(DISK)
        self.memory, self.machine = FusedMemory(self.burn), Machine()
        self.supervisor, self.kept = Supervisor(self.burn), FusedKept(self.burn)
        self.flashes = {
            "body": SimulatedFlash(bytes_of("body", 0), banks=2, files=self.files),
            "brake": SimulatedFlash(bytes_of("brake", 0), files=self.files),
        }
        for flash in self.flashes.values():
            flash.message = self.burn
        self.checks, self.content, self.clock = Checks(), Content(), ManualClock()
        self.facts: Facts = PARKED
        self.unbootable: set[str] = set()
        self.instead: dict[str, Installer] = {}
        self.booted, self.tries = "a", 2
        self.limits = Limits(health_within_s=20.0, health_for_s=2.0)
        self._put_old_brake_image()

    def burn(self, label: str) -> None:
        self.heard.append(label)
        self.fuse(label)

    def _put_old_brake_image(self) -> None:
        """An ECU with one bank needs the image that it holds here: the factory puts it there."""
        content = bytes_of("brake", 0)
        path = DISK / "brake" / f"{sha256(content)}.bin"
        self.files.write(path, content, 0)
        self.files.sync(path)
        self.files.sync_folder(path.parent)

    def agent(self) -> Updates:
        """Return an agent that has just started."""
        boot = SimulatedBoot(DISK / "boot" / "memory", self.booted, self.files, tries=self.tries)
        slots = {one: DISK / "slots" / one for one in ("a", "b")}
        installers: dict[str, Installer] = {
            "gateway": SlotInstaller(slots, boot, DISK / "boot", self.files, last_log=panic),
            "maps": FileInstaller(DISK / "maps", self.files),
            "apps": ContainerInstaller("apps", self.supervisor, self.kept),
            "body": UdsInstaller(self.flashes["body"], DISK / "body", self.files),
            "brake": UdsInstaller(self.flashes["brake"], DISK / "brake", self.files),
        }
        installers |= self.instead
        return Updates(
            Around(
                memory=self.memory,
                machine=self.machine,
                installers=installers,
                content=self.content,
                checks=self.checks,
                unpack=unpack,
                facts=lambda: self.facts,
                means=lambda: MEANS,
                clock=self.clock,
                folder=self.folder,
                terms=Terms(),
                limits=self.limits,
            )
        )

    def power_comes(self) -> None:
        """Let the bootloader start what it would start, again and again until something runs."""
        memory = DISK / "boot" / "memory"
        for _ in range(10):
            self.machine.boots += 1
            slot = boot_simulated.start(self.files, memory, "a")
            if self.holds(slot) not in self.unbootable:
                self.booted = slot
                return
        raise AssertionError("nothing starts: a brick")

    def holds(self, slot: str) -> str:
        content = self.files.tree(DISK / "slots").get(slot, b"")
        return sha256(content) if content else "nothing"

    async def install(
        self, plan: Plan, keeps: Keeps = Keeps.ALL, cuts: Sequence[int] = (), seed: int = 0
    ) -> int:
        """Install a plan, with the power cut at the n-th thing done since the last; return the cuts made."""
        left, made, is_off = list(cuts), 0, False
        self.fuse = Fuse(left.pop(0) if left else None)
        for _ in range(200):
            try:
                if is_off:
                    self.power_comes()
                is_off = False
                await self._until_over(plan)
            except PowerCut:
                made += 1
                self.files.crash(keeps, seed + made)
                self.fuse = Fuse(left.pop(0) if left else None)
                is_off = True
            except Restarted:
                # What the fuse has counted goes on: a restart is part of the way.
                self.files.crash(Keeps.ALL)
                is_off = True
            else:
                return made
        raise AssertionError("it never ends")

    async def _until_over(self, plan: Plan) -> None:
        agent = self.agent()
        await agent.resume()
        if not any(one.action == plan.action for one in agent.kept.done):
            if agent.kept.order is None:
                await agent.take(await self.order(plan, agent))
            while (wait_s := await agent.carry()) is not None:
                self.clock.advance(round(max(wait_s, 0.001) * NS_PER_S))
        assert agent.kept.order is None

    async def order(self, plan: Plan, agent: Updates) -> Order:
        held = {
            one.ecu.serial: await agent._around.installers[one.ecu.serial].probe(one.ecu)
            for one in plan.assigned
        }
        order = order_of(plan, held, agent.kept, MEANS, now_ns=self.clock.now_ns())
        assert isinstance(order, Order), order
        return order

    def versions(self) -> dict[str, int | str]:
        """Return what each ECU really holds, by its bytes."""
        known = {sha256(bytes_of(one, n)): n for one in SERIALS for n in range(4)}
        leads = self.files.linked(DISK / "maps" / "current") or "nowhere"
        maps = self.files.tree(DISK / "maps" / leads)
        active = {name: one.banks[one.active] or b"" for name, one in self.flashes.items()}
        wanted = self.supervisor.wanted
        return {
            "gateway": known.get(self.holds(self.booted), "garbage"),
            "maps": next((n for n in range(4) if maps == maps_of(n)), "garbage"),
            "apps": int(wanted.version[0]) if wanted else "none",
            "body": known.get(sha256(active["body"]), "garbage"),
            "brake": known.get(sha256(active["brake"]), "garbage"),
        }

    def copied(self, folder: Path) -> "Vehicle":
        """Return a vehicle in the same state."""
        other = copy.deepcopy(self)
        other.folder = folder
        return other

    @property
    def end(self) -> Stage:
        return self.memory.read().done[-1].stage


MEANS = Means(single_bank=frozenset({"brake"}))


async def panic() -> str:
    return "kernel panic"


def unpack(image: Image, source: Source, packed: Path, base: Path | None, out: Path) -> None:
    raise AssertionError(f"every image is plain here: {image} {source} {packed} {base} {out}")


def run(what: Any) -> Any:
    """Run a coroutine in a loop where threads are none."""

    async def main() -> Any:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        return await what

    return asyncio.run(main())


def vehicle_with(version: int, folder: Path) -> Vehicle:
    """Return a vehicle in which a version was installed."""
    vehicle = Vehicle(folder)
    run(vehicle.install(plan_of(version)))
    assert set(vehicle.versions().values()) == {version}
    return vehicle
