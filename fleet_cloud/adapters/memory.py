"""Registry and telemetry store in memory, for trials and tests: nothing outlives the process."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fairway.errors import BadInput, Conflict
from fairway.ids import BatchName
from fleet_cloud.adapters.memory_access import MemoryKeys, MemoryUsers
from fleet_cloud.adapters.memory_artifacts import MemoryHoldings
from fleet_cloud.adapters.memory_campaigns import MemoryCampaigns, MemoryCheckIns, MemoryCommands
from fleet_cloud.adapters.memory_enrolments import MemoryEnrolments
from fleet_cloud.adapters.memory_models import MemoryDocuments
from fleet_cloud.adapters.memory_progress import MemoryProgress
from fleet_cloud.adapters.memory_services import MemoryImages, MemoryServices, MemoryServiceStatuses
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.ingest.ledger import Claim, Stream, standing
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.ingest.records import (
    NOTHING,
    BatchKey,
    Claimant,
    Collected,
    DictionaryKey,
    Misfit,
    QuarantineEntry,
    Standing,
)
from fleet_cloud.vehicles.certificates import REPLACED, Certificate, CertificateState
from fleet_cloud.vehicles.registry import (
    VEHICLES_MAX_PAGE,
    FleetChanges,
    Vehicle,
    VehicleState,
)

# Memory is the bound here, and what lives in memory is a trial: a few hundred misfits show everything.
ENTRIES_MAX = 1_000


class MemoryStore:
    """Keeps every batch as it came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.batches: dict[BatchKey, AcceptedBatch] = {}
        self.inserted: list[BatchKey] = []  # with repetitions, should there ever be any

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        with self._lock:
            for batch in batches:
                self.batches[batch.key] = batch
                self.inserted.append(batch.key)

    def stored(self, tenant: str, vehicle: str, stream: str, sequences: Sequence[int]) -> set[int]:
        with self._lock:
            return {
                sequence
                for sequence in sequences
                if BatchKey(tenant, BatchName(vehicle, stream, sequence)) in self.batches
            }


class MemoryVehicles:
    """Keeps the fleet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vehicles: dict[str, Vehicle] = {}
        self._changed: dict[str, int] = {}
        self._revision = 0

    def step(self) -> int:
        """Move the fleet's revision on, and return it."""
        self._revision += 1
        return self._revision

    def vehicle(self, vehicle: str) -> Vehicle | None:
        with self._lock:
            return self._vehicles.get(vehicle)

    def vehicles(self, *, after: str = "", limit: int = VEHICLES_MAX_PAGE) -> list[Vehicle]:
        with self._lock:
            names = sorted(name for name in self._vehicles if name > after)
            return [self._vehicles[name] for name in names[: min(limit, VEHICLES_MAX_PAGE)]]

    def add(self, vehicle: Vehicle) -> None:
        with self._lock:
            known = self._vehicles.get(vehicle.id)
            if known is not None and known.may_connect:
                raise Conflict(
                    f"the vehicle {vehicle.id} is registered already: remove it first to register it anew"
                )
            seen = known.last_seen_time_ns if known else vehicle.last_seen_time_ns
            self._put(replace(vehicle, state=VehicleState.ACTIVE, last_seen_time_ns=seen))

    def remove(self, vehicle: str) -> None:
        with self._lock:
            known = self._vehicles.get(vehicle)
            if known is None or not known.may_connect:
                raise BadInput(f"no vehicle called {vehicle} is registered")
            self._put(replace(known, state=VehicleState.REMOVED))

    def changes(self, after_revision: int) -> FleetChanges:
        with self._lock:
            names = sorted(name for name, at in self._changed.items() if at > after_revision)
            return FleetChanges(tuple(self._vehicles[name] for name in names), self._revision)

    def seen(self, times_ns: Sequence[tuple[str, int]]) -> None:
        with self._lock:
            for name, time_ns in times_ns:
                known = self._vehicles.get(name)
                if known is not None and (known.last_seen_time_ns or 0) < time_ns:
                    self._vehicles[name] = replace(known, last_seen_time_ns=time_ns)

    def _put(self, vehicle: Vehicle) -> None:
        self._vehicles[vehicle.id] = vehicle
        self._changed[vehicle.id] = self.step()


class MemoryCertificates:
    """Keeps the certificates of a fleet."""

    def __init__(self, vehicles: MemoryVehicles) -> None:
        self._lock = threading.Lock()
        self._fleet = vehicles
        self._kept: dict[str, tuple[Certificate, int]] = {}

    def record(self, certificate: Certificate, *, replaces: bool = False) -> None:
        with self._lock:
            revision = self._fleet.step()
            state = CertificateState.REVOKED if replaces else CertificateState.SUPERSEDED
            ended = (state, certificate.issued_time_ns, REPLACED if replaces else "")
            for other in self._of(certificate.vehicle):
                is_live = other.state is CertificateState.ACTIVE or (
                    replaces and other.state is CertificateState.SUPERSEDED
                )
                if is_live and other.sha256 != certificate.sha256:
                    self._end(other, *ended, revision)
            self._kept.setdefault(certificate.sha256, (certificate, revision))

    def of_vehicle(self, vehicle: str) -> list[Certificate]:
        with self._lock:
            return sorted(self._of(vehicle), key=lambda one: (-one.issued_time_ns, one.sha256))

    def revoke(self, vehicle: str, now_ns: int, reason: str, *, sha256: str = "") -> int:
        with self._lock:
            revision = self._fleet.step()
            ended = [
                one
                for one in self._of(vehicle)
                if one.state is not CertificateState.REVOKED and sha256 in ("", one.sha256)
            ]
            for one in ended:
                self._end(one, CertificateState.REVOKED, now_ns, reason, revision)
            return len(ended)

    def changed(self, after_revision: int, until_revision: int) -> list[Certificate]:
        with self._lock:
            return [one for one, at in self._kept.values() if after_revision < at <= until_revision]

    def _of(self, vehicle: str) -> list[Certificate]:
        return [one for one, _ in self._kept.values() if one.vehicle == vehicle]

    def _end(
        self, one: Certificate, state: CertificateState, now_ns: int, reason: str, revision: int
    ) -> None:
        ended = replace(one, state=state, ended_time_ns=now_ns, reason=reason)
        self._kept[one.sha256] = (ended, revision)


class MemoryLedger:
    """Keeps the ledger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str, str], Stream] = {}
        self._claims: dict[BatchKey, Claim] = {}
        self.progress = MemoryProgress()

    def claim(self, keys: Sequence[BatchKey], claimant: Claimant) -> dict[BatchKey, Standing]:
        with self._lock:
            return {key: self._claim(key, claimant) for key in sorted(set(keys))}

    def settle(
        self,
        keys: Sequence[BatchKey],
        claimant: Claimant,
        collected: Mapping[BatchKey, Collected] = NOTHING,
    ) -> None:
        with self._lock:
            for key in dict.fromkeys(keys):
                if key in collected and self._stream(key).lacks(key.name.sequence):
                    self.progress.count(key, collected[key])
                known = self._stream(key).with_stored([key.name.sequence])
                self._streams[key.tenant, key.name.vehicle, key.name.stream] = known
            self._end(keys, claimant)

    def release(self, keys: Sequence[BatchKey], claimant: Claimant) -> None:
        with self._lock:
            self._end(keys, claimant)

    def _stream(self, key: BatchKey) -> Stream:
        return self._streams.get((key.tenant, key.name.vehicle, key.name.stream), Stream())

    def _claim(self, key: BatchKey, claimant: Claimant) -> Standing:
        earlier = self._claims.get(key)
        stands = standing(self._stream(key), key, earlier=earlier, claimant=claimant)
        if stands in (Standing.MINE, Standing.DOUBTFUL):
            self._claims[key] = Claim(claimant.owner, claimant.now_ns)
        return stands

    def _end(self, keys: Sequence[BatchKey], claimant: Claimant) -> None:
        for key in keys:
            claim = self._claims.get(key)
            if claim is not None and claim.owner == claimant.owner:
                del self._claims[key]


class MemoryDictionaries:
    """Keeps dictionaries."""

    def __init__(self) -> None:
        self._messages: dict[DictionaryKey, bytes] = {}

    def keep(self, bodies: Mapping[DictionaryKey, bytes]) -> None:
        self._messages = {**bodies, **self._messages}

    def load(self, keys: Sequence[DictionaryKey]) -> dict[DictionaryKey, bytes]:
        return {key: self._messages[key] for key in keys if key in self._messages}


class MemoryQuarantine:
    """Keeps the newest misfits."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._lock = threading.Lock()
        self._entries_max = entries_max
        self._kept: dict[int, tuple[QuarantineEntry, bytes]] = {}
        self._next = 1

    def keep(self, misfits: Sequence[Misfit]) -> None:
        with self._lock:
            for misfit in misfits:
                kept = {(e.tenant, e.name) for e, _ in self._kept.values() if e.name}
                if (misfit.tenant, misfit.name) not in kept:
                    self._add(misfit)

    def entries(
        self, *, tenants: Collection[str] | None = None, limit: int = 100
    ) -> list[QuarantineEntry]:
        with self._lock:
            newest = [self._kept[number][0] for number in sorted(self._kept, reverse=True)]
        return [entry for entry in newest if tenants is None or entry.tenant in tenants][:limit]

    def payload(self, entry: int, *, tenants: Collection[str] | None = None) -> bytes | None:
        with self._lock:
            found, data = self._kept.get(entry, (None, None))
        return data if found and (tenants is None or found.tenant in tenants) else None

    def count(self, *, tenants: Collection[str] | None = None) -> int:
        return len(self.entries(tenants=tenants, limit=self._entries_max))

    def _add(self, misfit: Misfit) -> None:
        entry = QuarantineEntry(
            self._next,
            misfit.tenant,
            misfit.vehicle,
            misfit.reason,
            misfit.received_time_ns,
            len(misfit.payload),
            misfit.name,
        )
        self._kept[self._next] = (entry, misfit.payload)
        self._next += 1
        of_tenant = [n for n, (one, _) in self._kept.items() if one.tenant == misfit.tenant]
        if len(of_tenant) > self._entries_max:
            del self._kept[min(of_tenant)]


def memory_registry() -> Registry:
    """Return an empty registry."""
    vehicles, enrolments, plan = MemoryVehicles(), MemoryEnrolments(), MemoryCampaigns()
    ledger = MemoryLedger()
    return Registry(
        vehicles,
        ledger,
        MemoryDictionaries(),
        MemoryQuarantine(),
        MemoryCertificates(vehicles),
        MemoryKeys(),
        MemoryUsers(),
        enrolments,
        enrolments,
        MemoryDocuments(),
        plan,
        plan,
        MemoryCheckIns(),
        MemoryCommands(plan),
        ledger.progress,
        MemoryServices(plan),
        MemoryServiceStatuses(),
        MemoryImages(),
        MemoryHoldings(),
    )
