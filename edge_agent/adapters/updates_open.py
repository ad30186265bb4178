"""Puts updates together, as the settings describe them: top to bottom, what each needs comes first.

    installers, bootloaders > Updates <> desk (edge-agent updates)
    the door of the cloud > metadata, content, reports > Looks

Rule 1: without the table [updates] nothing of this is imported.
Rule 2: what can be known to be wrong is said at the start: roots that are not there, services that nobody runs.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.adapters.boot_efi import EFIVARS, Efi
from edge_agent.adapters.boot_grub import Grub
from edge_agent.adapters.boot_rauc import Rauc
from edge_agent.adapters.boot_simulated import SimulatedBoot
from edge_agent.adapters.boot_uboot import UBoot
from edge_agent.adapters.installer_container import ContainerInstaller, Pull
from edge_agent.adapters.installer_file import FileInstaller
from edge_agent.adapters.installer_memory import MemoryInstaller
from edge_agent.adapters.installer_slot import SlotInstaller
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.update_files import RealFiles
from edge_agent.adapters.update_tools import said_by
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around, Limits
from edge_agent.adapters.updates_cloud import CloudParts, cloud_of
from edge_agent.adapters.updates_desk import SOCKET_NAME, UpdatesDesk
from edge_agent.adapters.updates_look import raised
from edge_agent.adapters.updates_store import SqliteMemory
from edge_agent.adapters.updates_vehicle import (
    ShownProgress,
    ThisMachine,
    VehicleChecks,
    VehicleFacts,
)
from edge_agent.adapters.uplink_tls import Address
from edge_agent.broker.vehicle import VehicleData
from edge_agent.config import Config
from edge_agent.config_updates import UpdateEcu
from edge_agent.config_updates import Updates as Settings
from edge_agent.updates import progress_signals
from edge_agent.updates.boot import BootControl
from edge_agent.updates.conditions import Terms, known, minutes
from edge_agent.updates.numbers import UpdateNumbers
from edge_agent.updates.planner import Means
from edge_agent.updates.ports import Content, Installer
from edge_agent.updates.progress_signals import percent_of
from edge_agent.updates.telling import stage_of
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable
from ota.delta.apply import Work, applied, forms
from ota.manifest import Blob, Image, Source

_MIB = 1 << 20
CMDLINE = Path("/proc/cmdline")
SLOT_KEY = "fairway.slot="
DATABASE = "updates.sqlite"
# What the previous boot left in the journal or in the firmware's store of last words.
_LAST_WORDS = (Path("/var/lib/systemd/pstore"), Path("/sys/fs/pstore"))
_LOG_MAX_BYTES = 16_384
_JOURNAL = ("journalctl", "--boot=-1", "--lines=200", "--no-pager", "--output=short-iso")


class UpdateParts:
    """All of it, opened; `run` it as a task."""

    def __init__(
        self, updates: Updates, desk: UpdatesDesk, cloud: CloudParts | None, memory: SqliteMemory
    ) -> None:
        """Use open_updates()."""
        self.updates, self._desk, self.cloud, self._memory = updates, desk, cloud, memory

    async def run(self) -> None:
        """Look for updates and carry them out until cancelled."""
        await self._desk.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.updates.run())
                if self.cloud is not None:
                    tasks.create_task(self.cloud.looks.run())
        finally:
            await self._desk.stop()

    def numbers(self) -> UpdateNumbers:
        """Return what there is to count."""
        updates = self.updates
        order, looks = updates.kept.order, self.cloud.looks if self.cloud else None
        return UpdateNumbers(
            stage=None if order is None else stage_of(order),
            percent=0 if order is None else percent_of(order),
            looks=looks.looks if looks else 0,
            refusals=looks.refusals if looks else 0,
            commits=updates.commits,
            roll_backs=updates.roll_backs,
            untold_events=len(updates.kept.events),
            disk_failing=updates.standing.is_disk_failing,
        )

    def close(self) -> None:
        """Let go."""
        if self.cloud is not None:
            self.cloud.close()
        self._memory.close()


def open_updates(
    config: Config,
    data: VehicleData,
    clock: Clock,
    *,
    target: Address | None,
    services: Any,
    is_metered: Callable[[], bool],
) -> UpdateParts:
    """Return what carries updates out; `services` is what runs services, None where nothing does.

    Raises BadInput or Unavailable.
    """
    settings = config.updates
    assert settings is not None
    supervisor = services.supervisor if services is not None else None
    folder = (settings.dir or config.spool.dir.parent / "updates").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    memory = SqliteMemory(folder / DATABASE)
    facts = VehicleFacts(data, settings.signals, clock)
    cloud = cloud_of(config, settings, folder, target, clock, lambda: memory.read().url)
    trust = cloud.trust if cloud else None
    around = Around(
        memory=memory,
        machine=ThisMachine(settings.restart_command),
        installers={one.serial: _installer(one, folder, services) for one in settings.ecu},
        content=cloud.server.content if cloud else _NoContent(),
        checks=_checks(settings, data, supervisor, clock),
        unpack=_Unpack(settings.memory_max_mb * _MIB),
        facts=facts,
        means=lambda: _means(settings, folder, is_metered),
        clock=clock,
        folder=folder / "fetched",
        terms=_terms(settings),
        limits=Limits(
            health_within_s=settings.health_within_s,
            health_for_s=settings.health_for_s,
            order_max_age_s=settings.order_max_age_days * 86_400.0,
        ),
        committed=lambda assigned: raised(trust, assigned) if trust is not None else None,
    )
    updates = Updates(around)
    shown = ShownProgress(data, clock)

    def show() -> None:
        asks, waits_for = updates.asks_driver, updates.standing.waits_for
        shown.show(progress_signals.values(updates.kept, waits_for, asks=asks))

    updates.changed = show
    if cloud is not None:
        cloud.begin(updates, around)
    desk = UpdatesDesk(config.spool.dir / SOCKET_NAME, updates, cloud.looks if cloud else None)
    return UpdateParts(updates, desk, cloud, memory)


class _NoContent(Content):
    """There is no cloud to fetch from."""

    async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
        del path, most_bytes
        raise Unavailable(f"there is no cloud to fetch {blob.sha256} from")


def _installer(ecu: UpdateEcu, folder: Path, services: Any) -> Installer:
    own = folder / "ecus" / ecu.serial
    match ecu.kind:
        case "container":
            if services is None:
                raise BadInput(
                    f"the ECU {ecu.serial} is a service: there is no [services] to run it"
                )
            name, kept = ecu.service or ecu.serial, KeptFiles(folder / "kept")
            return ContainerInstaller(name, services.supervisor, kept, _pull(services))
        case "file":
            assert ecu.folder is not None
            return FileInstaller(ecu.folder)
        case "slot":
            slots = dict(zip(ecu.slots, ecu.devices, strict=True))
            return SlotInstaller(slots, _boot(ecu, own), own, last_log=_last_words)
        case "simulated":
            return MemoryInstaller()


def _pull(services: Any) -> Pull:
    """Return what brings the layers of an image: from the cloud, unless somebody brought them already."""
    cloud = getattr(services, "cloud", None)

    async def pull(digest: str) -> None:
        if cloud is None:
            return  # without a cloud people bring images: the supervisor says when one is missing
        shelf = services.parts.images
        if all(one.digest != digest for one in await shelf.list()):
            await cloud.images.fetch(digest)

    return pull


def _boot(ecu: UpdateEcu, own: Path) -> BootControl:
    def booted() -> str:
        return ecu.booted or slot_of(CMDLINE.read_text(), ecu.serial)

    match ecu.boot:
        case "uboot":
            return UBoot(booted, ecu.boot_file)
        case "grub":
            return Grub(booted, ecu.boot_file or Path("/boot/grub/grubenv"))
        case "efi":
            return Efi(EFIVARS)
        case "rauc":
            return Rauc()
        case "simulated":
            own.mkdir(parents=True, exist_ok=True)
            path = ecu.boot_file or own / "boot.json"
            return SimulatedBoot(path, ecu.booted or ecu.slots[0])


def slot_of(command_line: str, serial: str) -> str:
    """Return the slot that a kernel's command line names.  Raises Unavailable."""
    for word in command_line.split():
        if word.startswith(SLOT_KEY):
            return word.removeprefix(SLOT_KEY)
    raise Unavailable(
        f"the kernel's command line does not say which slot runs ({SLOT_KEY}a): set booted of {serial}"
    )


async def _last_words() -> str:
    """Return what the boot before this one left behind: with the firmware, else in the journal."""
    if said := await asyncio.to_thread(_pstore):
        return said
    with contextlib.suppress(Unavailable):
        return (await said_by(_JOURNAL))[-_LOG_MAX_BYTES:]
    return ""


def _pstore() -> str:
    files = RealFiles()
    for folder in _LAST_WORDS:
        try:
            found = sorted(
                (one for one in folder.rglob("*") if one.is_file()),
                key=lambda one: one.stat().st_mtime,
            )
            if found:
                size = files.size(found[-1]) or 0
                start = max(0, size - _LOG_MAX_BYTES)
                return files.read(found[-1], start, _LOG_MAX_BYTES).decode(errors="replace")
        except OSError:
            continue
    return ""


def _checks(settings: Settings, data: VehicleData, supervisor: Any, clock: Clock) -> VehicleChecks:
    def ready(name: str) -> str:
        if supervisor is None:
            return "there is no [services]"
        why = supervisor.why(name)
        return "" if why["ready"] else why["why"] or why["state"]

    def seen_s(path: str) -> float | None:
        number = data.signals.find(path)
        seen_ns = 0 if number is None else data.store.seen_ns(number)
        return (clock.monotonic_ns() - seen_ns) / NS_PER_S if seen_ns else None

    return VehicleChecks(
        ready,
        seen_s,
        services=settings.health_services,
        signals=settings.health_signals,
        command=settings.health_command,
    )


def _means(settings: Settings, folder: Path, is_metered: Callable[[], bool]) -> Means:
    return Means(
        forms=frozenset(forms()),
        memory_max_bytes=settings.memory_max_mb * _MIB,
        disk_free_bytes=shutil.disk_usage(folder).free,
        is_metered=is_metered(),
        budget_bytes=settings.metered_max_mb * _MIB,
        may_fetch_whole=settings.whole_on_metered,
    )


class _Unpack:
    """Makes an image of what was fetched, in so much memory."""

    def __init__(self, memory_max_bytes: int) -> None:
        self._memory_max_bytes = memory_max_bytes

    def __call__(
        self, image: Image, source: Source, packed: Path, base: Path | None, out: Path
    ) -> None:
        """Write the image.  Raises BadInput, Tampered, Unavailable."""
        most = self._memory_max_bytes
        applied(Work(source.form, packed, image.sha256, image.length, base, most), out)


def _terms(settings: Settings) -> Terms:
    window = None
    if settings.window_from:
        window = minutes(settings.window_from), minutes(settings.window_until)
    return Terms(
        conditions=known(settings.conditions),
        battery_min_v=settings.battery_min_v,
        charge_min_percent=settings.charge_min_percent,
        window=window,
    )
