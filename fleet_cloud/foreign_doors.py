"""Doors for clients of others, put together: hawkBit's at the device door, AWS IoT Jobs' at the broker.

registry, what rollouts offer --> direct assignment + rollouts --> both doors
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter

from fairway.clock import Clock
from fleet_cloud.access.keys import KeyReader
from fleet_cloud.access.tokens import NoTokens, Tokens
from fleet_cloud.adapters.aws_root import aws_root
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.fleet_files import FleetFiles
from fleet_cloud.adapters.jobs_mqtt import JobsDoor
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.adapters.registry_foreign import SqlForeign
from fleet_cloud.adapters.sealing import RootSealer
from fleet_cloud.api.compat.hawkbit import hawkbit_router
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.gate import Gate
from fleet_cloud.api.ports import FleetsOf
from fleet_cloud.audit.acts import Audit
from fleet_cloud.config import Config
from fleet_cloud.doors import Updates
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.job_desk import JobDesk
from fleet_cloud.rollouts.foreign.several import SeveralOffers


@dataclass(frozen=True, slots=True)
class Around:
    """What they stand in."""

    config: Config
    files: FleetFiles
    fleet: Fleet
    clock: Clock
    urls: Mapping[str, str]  # where the doors of this program are reached
    failed: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the gate looks keys up in; issuers' tokens are for the API."""

    clock: Clock
    keys: KeyReader
    audit: Audit
    tokens: Tokens
    fleets_of: FleetsOf


def with_foreign(around: Around, updates: Updates) -> tuple[Updates, JobsDoor | None]:
    """Return what the device door is given with everything for clients of others, and the door of Jobs."""
    config, registry, audit = around.config, around.files.registry, around.files.audit
    database = registry.database
    store = SqlForeign(database, config.region) if database is not None else MemoryForeign()
    told: list[JobsDoor] = []

    def changed(_tenant: str, vehicle: str) -> None:
        for one in told:
            one.changed(vehicle)

    direct = DirectOffers(store, changed)
    offers = SeveralOffers(direct, updates.offers)
    jobs = None
    if config.jobs.enabled:
        desk = JobDesk(store, offers, around.clock, lambda: around.urls.get("updates", ""))
        jobs = JobsDoor(desk, lambda: around.fleet.tenants, around.clock, around.failed)
        told.append(jobs)

    def beside(device: DevicePorts) -> Sequence[APIRouter]:
        if not config.hawkbit.enabled:
            return ()
        shown = _Shown(around.clock, registry.keys, audit, NoTokens(), lambda _tenant, _vehicle: ())
        root = aws_root(around.files.data.folder) if config.hawkbit.show_tokens else None
        ports = HawkbitPorts(
            device=device,
            gate=Gate(shown),
            documents=store,
            numbers=store,
            direct=direct,
            vehicles=registry.vehicles,
            audit=audit,
            sealer=RootSealer(root) if root is not None else None,
            proxies=config.hawkbit.proxies,
        )
        return (hawkbit_router(ports),)

    return replace(updates, offers=offers, beside=beside), jobs
