"""A vehicle with services, all in memory and in virtual time: agents come and go, the vehicle stays.

A fuse burns at every call of a port, before and after it: a test cuts the power at any of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.adapters.runtime_memory import MemoryRuntime, Script
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.services import Services
from edge_agent.adapters.services_around import Around, Terms
from edge_agent.adapters.services_memory import (
    MemoryDoors,
    MemoryImages,
    MemoryLogs,
    MemoryProber,
)
from edge_agent.services.denials import Denials
from edge_agent.services.instance import Instance
from edge_agent.services.records import instance_id
from fairway.services.model import Check, Command, Health, Runner, Service
from fairway.services.needs import Room
from fairway.services.states import Status
from tests.virtual_time import VirtualClock

READY = Check(Command(("ready",)), interval_s=1.0)


def digest(version: str) -> str:
    return "sha256:" + version.encode().hex().rjust(64, "0")


def service(name: str = "one", version: str = "1", **more: Any) -> Service:
    """Return a service that says when it is ready."""
    usual: dict[str, Any] = {
        "image": digest(version),
        "health": Health(readiness=READY, within_s=5.0),
    }
    return Service(name=name, version=version, **usual | more)


class PowerCut(BaseException):
    """The end of everything that is not durable."""


class Fuse:
    """Burns at the `at`-th call; None: never."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count = at, 0
        self.labels: list[str] = []

    def burn(self, label: str) -> None:
        self.labels.append(label)
        self.count += 1
        if self.at is not None and self.count - 1 == self.at:
            raise PowerCut(label)


class Fused:
    """A port that burns the fuse before and after every call of these methods."""

    def __init__(self, inner: Any, fuse: Callable[[], Fuse], names: Sequence[str]) -> None:
        self._inner, self._fuse, self._names = inner, fuse, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found
        if asyncio.iscoroutinefunction(found):

            async def call(*args: Any, **more: Any) -> Any:
                self._fuse().burn(f"before {name}")
                result = await found(*args, **more)
                self._fuse().burn(f"after {name}")
                return result

            return call

        def call_now(*args: Any, **more: Any) -> Any:
            self._fuse().burn(f"before {name}")
            result = found(*args, **more)
            self._fuse().burn(f"after {name}")
            return result

        return call_now


class Vehicle:
    """What outlives an agent."""

    def __init__(self, scripts: dict[str, Script] | None = None) -> None:
        self.clock = VirtualClock()
        self.kept = MemoryKept()
        self.runtime = MemoryRuntime(scripts, self.clock)
        self.images, self.doors = MemoryImages(has_all=True), MemoryDoors()
        self.prober, self.logs = MemoryProber(), MemoryLogs()
        self.fuse = Fuse()
        self.is_connected = True
        self.room = Room()
        self.files: tuple[Service, ...] = ()
        self.allow_exec = False
        self.denials = Denials()
        self.overfull: dict[str, str] = {}  # what is wrong with the data of an instance

    def services(self) -> Services:
        """Return a supervisor of a new agent."""
        machine = Fused(self.runtime, lambda: self.fuse, ("start", "stop"))
        around = Around(
            machines={Runner.CONTAINER: machine, Runner.PROCESS: machine},
            images=Fused(self.images, lambda: self.fuse, ("root",)),
            doors=Fused(self.doors, lambda: self.fuse, ("open", "close", "serve")),
            prober=self.prober,
            logs=self.logs,
            kept=Fused(self.kept, lambda: self.fuse, ("keep",)),
            clock=self.clock,
            is_connected=lambda: self.is_connected,
            denials=self.denials.of,
            data_warnings=self.data_warnings,
            chance=lambda: 0.5,
        )
        places = Places(Path("/nowhere/services"), Path("/nowhere/run"))
        return Services(Terms(places, self.room, self.files, allow_exec=self.allow_exec), around)

    async def data_warnings(self, instance: Instance) -> tuple[str, ...]:
        said = self.overfull.get(instance.id)
        return (said,) if said else ()

    @asynccontextmanager
    async def agent(self):
        """Run an agent; it ends without stopping services, as an update of the agent does."""
        services = self.services()
        running = asyncio.create_task(services.run())
        try:
            yield services
        finally:
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()

    async def until_cut(self, at: int, services: Services, main: Callable[[Services], Any]) -> bool:
        """Run an agent until the fuse burns or `main` ends; then cut the power.  Return whether it burnt."""
        self.fuse = Fuse(at)
        running = asyncio.create_task(services.run())
        doing = asyncio.create_task(main(services))
        await asyncio.wait([running, doing], return_when=asyncio.FIRST_COMPLETED)
        for task in (running, doing):
            task.cancel()
        await asyncio.wait([running, doing])
        has_burnt = self.fuse.count > at
        self.fuse = Fuse()
        for task in (running, doing):
            error = None if task.cancelled() else task.exception()
            assert error is None or _is_cut(error), error
        self.runtime.power_cut()
        self.doors.opened.clear()
        return has_burnt

    def versions(self) -> list[str]:
        """Return which versions run, as "name version"."""
        ids = self.runtime.running
        services = {id_: self.runtime.instance(id_).service for id_ in ids}
        return sorted(f"{one.name} {one.version}" for one in services.values())


def _is_cut(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_cut(one) for one in error.exceptions)
    return isinstance(error, PowerCut)


def status(services: Services, name: str = "one") -> Status:
    """Return how one service stands."""
    return next(one for one in services.statuses() if one.name == name)


async def until(services: Services, holds: Callable[[], object], within_s: float = 60.0) -> float:
    """Wait until something holds, and return how long that took, in virtual time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not holds():
        assert loop.time() - begun < within_s, [str(one) + one.why for one in services.statuses()]
        await asyncio.sleep(0.01)
    return loop.time() - begun


def told(one: Status) -> str:
    """Return name, version and state."""
    return f"{one.name} {one.version} {one}"


__all__ = [
    "Script",
    "Vehicle",
    "digest",
    "instance_id",
    "replace",
    "service",
    "status",
    "told",
    "until",
]
