"""Puts together what runs services, as the settings describe it: top to bottom, what each needs comes first.

    images, logs > runtimes > doors, prober > supervisor <> desk (edge-agent services)

Rule 1: without the table [services] nothing of this is imported.
Rule 2: a machine that cannot run containers runs the agent all the same: services say why they wait.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.adapters import open_files, trial_folders
from edge_agent.adapters.edge_audit import EdgeAudit
from edge_agent.adapters.engine_open import AwaitedEngine, EngineImages
from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.onboard_grpc import AddService
from edge_agent.adapters.prober import ServiceProber, pids_of
from edge_agent.adapters.process_groups import ProcessGroups
from edge_agent.adapters.runtime_oci import OciRuntime, group_of
from edge_agent.adapters.runtime_process import ProcessRuntime
from edge_agent.adapters.service_desk import SOCKET_NAME, ServiceDesk
from edge_agent.adapters.service_doors import ServiceDoors
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.service_logs import LogBook
from edge_agent.adapters.service_signals import ServiceSignals
from edge_agent.adapters.service_tokens import Mint
from edge_agent.adapters.services import Services
from edge_agent.adapters.services_around import Around, Machine, Terms
from edge_agent.adapters.services_kept import read_wanted
from edge_agent.broker.vehicle import VehicleData
from edge_agent.config_services import Services as Settings
from edge_agent.services.instance import Instance
from edge_agent.services.log_lines import LogLimits
from edge_agent.services.manifests import read_manifests
from edge_agent.services.ports import Images
from fairway import log
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Probe, Runner, Service
from fairway.services.needs import Room
from fairway.services.states import State

EVENTS = log.get("edge_agent.services")

AUDIT_NAME = "audit.jsonl"
KEPT = "kept"
_BEGUN = (State.RUNNING, State.SUCCEEDED, State.FAILED, State.NOT_SCHEDULED, State.REMOVED)


class _Probers:
    """Asks each service by the runtime that runs it."""

    def __init__(self, by_runner: Mapping[Runner, ServiceProber]) -> None:
        self._by_runner = by_runner

    async def probe(self, instance: Instance, probe: Probe, *, timeout_s: float) -> str:
        prober = self._by_runner.get(instance.service.runner)
        if prober is None:
            return f"nothing here runs a {instance.service.runner}"
        return await prober.probe(instance, probe, timeout_s=timeout_s)


class ServiceParts:
    """All of it, opened."""

    def __init__(
        self,
        supervisor: Services,
        images: ImageStore,
        doors: ServiceDoors,
        audit: EdgeAudit,
        machines: tuple[Sequence[Any], LogBook],
        desks: tuple[ServiceDesk, ServiceSignals],
    ) -> None:
        """Use open_services()."""
        self.supervisor, self.images, self.doors = supervisor, images, doors
        self._audit, (self._machines, self._logs) = audit, machines
        self._desk, self._signals = desks

    async def run(self) -> None:
        """Run services until cancelled; they run on."""
        await self._desk.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.supervisor.run())
                tasks.create_task(self.doors.run())
                tasks.create_task(self._signals.run())
                tasks.create_task(trial_folders.sweep())
        finally:
            await self._desk.stop()

    async def until_running(self, timeout_s: float) -> None:
        """Return when all services that are to run do, or so much later at most: a drive begins then."""
        running, others = asyncio.Event(), self.supervisor.changed

        def look() -> None:
            others()
            stand = [one.state for one in self.supervisor.statuses()]
            if all(state in _BEGUN for state in stand):
                running.set()

        self.supervisor.changed = look
        look()
        try:
            async with asyncio.timeout(timeout_s):
                await running.wait()
        except TimeoutError:
            EVENTS.warning("services_not_running", timeout_s=timeout_s)
        finally:
            self.supervisor.changed = others

    async def close(self) -> None:
        """Let go; services run on."""
        await self.doors.stop()
        self._audit.close()
        for machine in self._machines:
            closing = machine.close()
            if inspect.isawaitable(closing):
                await closing
        self._logs.stop()
        self.images.close()


async def open_services(
    settings: Settings,
    spool_dir: Path,
    data: VehicleData,
    services: Sequence[AddService],
    clock: Clock,
    *,
    is_connected: Callable[[], bool] = lambda: True,
) -> ServiceParts:
    """Return what runs the services of these settings; `services` are those of the on-board door.

    Raises BadInput for manifests and settings that cannot be, Unavailable when folders cannot be made.
    """
    open_files.raise_limit()
    folder = _folder(settings, spool_dir)
    _made(folder, settings.run_dir)
    images = ImageStore(folder / "images", unpacks=settings.runtime != "engine")
    limits = LogLimits(settings.log_max_bytes, settings.log_files, settings.log_lines_per_s)
    logs = LogBook(folder / "logs", clock, limits)
    machines = await _machines(settings, folder, images, logs, clock)
    audit = EdgeAudit(folder / AUDIT_NAME, clock)
    containers = machines.get(Runner.CONTAINER)
    doors = ServiceDoors(
        data,
        Mint.of(folder, clock),
        audit,
        clock,
        services,
        pid_of=pids_of(containers) if containers is not None else None,
    )
    probers = {
        runner: ServiceProber(one, pids_of(one), doors.last_published)
        for runner, one in machines.items()
    }
    around = Around(
        machines=machines,
        images=_images(images, machines),
        doors=doors,
        prober=_Probers(probers),
        logs=logs,
        kept=KeptFiles(folder / KEPT),
        clock=clock,
        is_connected=is_connected,
        denials=doors.denials,
    )
    places = Places(folder, settings.run_dir, settings.uid_first, settings.uid_count)
    terms = Terms(
        places,
        _room(settings),
        tuple(_declared(settings)),
        settings.allow_exec,
        settings.usage_interval_s,
    )
    supervisor = Services(terms, around)
    desk = ServiceDesk(spool_dir / SOCKET_NAME, supervisor, images)
    signals = ServiceSignals(data, supervisor.numbers, clock, settings.usage_interval_s)
    running = (list(machines.values()), logs)
    return ServiceParts(supervisor, images, doors, audit, running, (desk, signals))


def known_names(settings: Settings, spool_dir: Path) -> list[str]:
    """Return the names of all services that are declared already.  Raises BadInput."""
    kept = KeptFiles(_folder(settings, spool_dir) / KEPT)
    return [one.name for one in read_wanted(kept, _declared(settings)).services]


def _folder(settings: Settings, spool_dir: Path) -> Path:
    return (settings.dir or spool_dir.parent / "services").absolute()


async def _machines(
    settings: Settings, folder: Path, images: ImageStore, logs: LogBook, clock: Clock
) -> dict[Runner, Machine]:
    machines: dict[Runner, Machine] = {}
    group = f"/{settings.cgroup_parent}"
    if settings.runtime in ("auto", "runc", "crun"):
        program = "" if settings.runtime == "auto" else settings.runtime
        try:
            machines[Runner.CONTAINER] = await OciRuntime.open(
                folder / "containers", logs, program=program, group=group
            )
        except Unavailable as error:
            EVENTS.warning("no_containers", reason=str(error))
    elif settings.runtime == "engine":
        machines[Runner.CONTAINER] = AwaitedEngine(settings.engine_socket, folder, images, logs)
    if settings.processes or settings.runtime == "process":
        groups = ProcessGroups(group_of(folder / "processes", group).strip("/"))
        machines[Runner.PROCESS] = ProcessRuntime(folder / "processes", logs, clock, groups)
    return machines


def _images(images: ImageStore, machines: Mapping[Runner, Machine]) -> Images:
    engine = machines.get(Runner.CONTAINER)
    return EngineImages(images, engine) if isinstance(engine, AwaitedEngine) else images


def _room(settings: Settings) -> Room:
    return Room(
        memory_max_bytes=settings.memory_max_bytes,
        cpu_max=settings.cpu_max,
        pids_max=settings.pids_max,
        services_max=settings.services_max,
        host_network=frozenset(settings.host_network),
        processes=frozenset(settings.processes),
    )


def _declared(settings: Settings) -> list[Service]:
    def named(name: str) -> str:
        raise BadInput(
            f"[services] manifests: image {name[:80]!r} is a name; write its digest there"
        )

    files = list[tuple[str, bytes]]()
    for path in settings.manifests:
        try:
            files.append((str(path), path.read_bytes()))
        except OSError as error:
            raise BadInput(f"the manifest {path} cannot be read: {error.strerror}") from error
    return read_manifests(files, named)


def _made(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{folder} cannot be made: {error.strerror}") from error
