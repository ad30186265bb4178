"""A rollout to a million simulated vehicles, from the first wave to the last record; and signing.

    fleet in SQLite (WAL, every commit synced) <-- worker: scan, waves, gates, offers
                                               <-- vehicles: three messages each, 2 % of them fail and roll back

Time is simulated, the rest is not: every order is decided by the solver, every transition is a record with
its hash in a signed seal, and the export of all of them is verified at the end.  Vehicles speak in groups, as a
door hears them that many keep busy.

Rule 1: what the fleet is made of (vehicles, ECUs, what they hold) is there before the clock starts.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row
from fairway.clock import NS_PER_S
from fairway.identity import Scope
from fairway.signers import file
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.memory_rollouts import MemoryImageRepository
from fleet_cloud.adapters.registry_fleet_pages import SqlFleetPages
from fleet_cloud.adapters.registry_rollout_tables import ecus, update_vehicles
from fleet_cloud.adapters.registry_schema import tenants, vehicles
from fleet_cloud.adapters.registry_sql import Database, many
from fleet_cloud.adapters.rollout_worker import Advancer
from fleet_cloud.adapters.updates import Updates, make_updates
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.desk import Desk
from fleet_cloud.rollouts.director import Instruction, OnlineKeys, role_key, signed_files
from fleet_cloud.rollouts.model import Kept
from fleet_cloud.rollouts.records import verify_export
from fleet_cloud.rollouts.solver import EcuKnown, Given, configuration
from fleet_cloud.rollouts.wishes import wish_of
from ota.custom import bundle_to_json
from ota.manifest import Bundle, Image, Kind
from ota.report import Installed

VEHICLES = 1_000_000
SECONDS_MAX = 1200.0
SIGNED = 2_000
GROUP = 5_000
REGION, TENANT = "local", "default"
NOW = 1_780_000_000 * NS_PER_S
OLD, NEW = "aa" * 32, "bb" * 32
WISH = {
    "name": "winter",
    "bundle": "bundles/winter.json",
    "target": {"query": "not is_scrapped"},
    "waves": [
        {"name": "first", "percent": 1, "gate": {"success_percent": 95}},
        {"name": "early", "percent": 10, "gate": {"success_percent": 95}},
        {"name": "all", "gate": {"success_percent": 95}},
    ],
}


class Values:
    """Nobody asks for health here."""

    def last(self, tenant: str, vehicle: str, since_ns: int) -> dict[str, str | float | bool]:
        """Return nothing."""
        return {}


def run() -> list[Row]:
    """Measure."""
    return [_signing(), *rolled_out(VEHICLES)]


def _signing() -> Row:
    keys = OnlineKeys(*(role_key(file.fresh()) for _ in range(3)))
    given = tuple(
        Given(
            EcuKnown(f"S{at}", f"hw-{at}"),
            Image(
                f"fw-{at}/7.bin", 4_000_000, NEW, Kind.FIRMWARE, f"fw-{at}", "7", 7, (f"hw-{at}",)
            ),
        )
        for at in range(8)
    )
    begun = time.process_time()
    for number in range(SIGNED):
        signed_files(Instruction(f"VIN{number:014d}", "0" * 16 + "-1", given), keys, 1, NOW)
    per_s = SIGNED / (time.process_time() - begun)
    what = "Director: targets, snapshot and timestamp of a vehicle of 8 ECUs, signed, of one core"
    return Row(what, f"{per_s:,.0f} vehicles/s", "-", per_s, ">= 2000", "/s")


def rolled_out(count: int) -> list[Row]:
    """Roll out to so many vehicles."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "registry.sqlite"), REGION)
        try:
            _fleet(database, count)
            return _rollout(database, count)
        finally:
            database.close()


def _rollout(database: Database, count: int) -> list[Row]:
    signer = file.fresh()
    updates = _updates(database, signer)
    told: list[str] = []
    worker = Advancer(
        updates.advancing,
        updates.rollouts,
        updates.rollouts,
        Values(),
        "bench",
        told=lambda _tenant, some: told.extend(some),
    )
    desk = Desk(updates.rollouts, updates.rollouts, updates.images, MemoryAudit(), lambda: "0" * 16)
    begun, cpu = time.monotonic(), time.process_time()
    kept = desk.create(TENANT, wish_of(WISH), actor="a", now_ns=NOW)
    kept = desk.start(desk.approve(kept, actor="b", now_ns=NOW), actor="b", now_ns=NOW)
    now_ns = NOW
    while not kept.state.is_over:
        now_ns += NS_PER_S
        worker.turn(now_ns)
        for some in _groups(told):
            updates.offers.tell_many(TENANT, _said(kept, some, now_ns), now_ns)
        told.clear()
        newest = updates.rollouts.rollout(None, kept.id)
        assert newest is not None
        kept = newest
    took_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu
    counts = updates.rollouts.counts(kept)
    done = sum(one.done for one in counts.values())
    assert (kept.state, done) == ("FINISHED", count), (kept.state, kept.why, counts)
    begun = time.monotonic()
    keys = {key_name(signer.public_key()): signer.public_key()}
    (proof,) = verify_export(updates.records.export(TENANT, kept.id, now_ns), keys)
    proved_s = time.monotonic() - begun
    failed = sum(one.failed for one in counts.values())
    return [
        Row(
            f"a rollout of {count:,} vehicles in three waves, {failed:,} of which fail, on SQLite",
            f"{took_s:,.0f} s ({cpu_s:,.0f} s of CPU, {count / took_s:,.0f} vehicles/s)",
            "-",
            took_s,
            f"<= {SECONDS_MAX:g}",
            "s",
        ),
        Row(
            f"its {proof.records:,} records, exported and verified",
            f"{proved_s:,.0f} s ({proof.records / proved_s:,.0f} records/s)",
            "-",
            proved_s,
            f"<= {SECONDS_MAX:g}",
            "s",
        ),
    ]


def _said(kept: Kept, some: Sequence[str], now_ns: int) -> list[tuple[str, list[UpdateEvent]]]:
    action = f"{kept.id}-1"
    begun = [
        UpdateEvent(action, 1, now_ns, Stage.DOWNLOADING),
        UpdateEvent(action, 2, now_ns, Stage.INSTALLING),
    ]
    well = [*begun, UpdateEvent(action, 3, now_ns, Stage.COMMITTED)]
    ill = [*begun, UpdateEvent(action, 3, now_ns, Stage.ROLLED_BACK, fault=Fault.HEALTH)]
    return [(name, ill if int(name[3:]) % 50 == 0 else well) for name in some]


def _groups(told: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(told), GROUP):
        yield told[at : at + GROUP]


def _updates(database: Database, signer: file.FileSigner) -> Updates:
    repository, artifacts = MemoryImageRepository(), MemoryArtifacts()
    brake = Image("brake/2.bin", 1000, NEW, Kind.FIRMWARE, "brake", "2", 2, ("brake-hw",))
    document = bundle_to_json(Bundle("winter", "1", (brake.path,), "winter"))
    sha256 = hashlib.sha256(document).hexdigest()
    receiving = artifacts.receive(f"sha256:{sha256}")
    receiving.write(document)
    receiving.finish()
    bundle = replace(brake, path="bundles/winter.json", kind=Kind.BUNDLE, sha256=sha256)
    repository.put(TENANT, brake, replace(bundle, length=len(document), hardware_ids=()))
    fleet = SqlFleetPages(database, REGION)
    return make_updates(
        database, REGION, signer, repository, artifacts, fleet, lambda _tenant: None
    )


def _fleet(database: Database, count: int) -> None:
    scope = Scope(REGION, TENANT)
    held = Installed("brake/1.bin", 1000, OLD, 1)
    name = configuration([EcuKnown("b", "brake-hw", held)])
    with database.writing() as connection:
        tenant = {"region": REGION, "id": TENANT, "created_time_ns": NOW}
        many(connection, tenants.insert().prefix_with("OR IGNORE"), [tenant])
        for at in range(0, count, 50_000):
            ids = [f"VIN{number:09d}" for number in range(at, min(at + 50_000, count))]
            many(connection, vehicles.insert(), [
                registry_scope.row(scope, id=one, state="active", registered_time_ns=NOW,
                                   last_seen_time_ns=None, certificate_sha256="",
                                   certificate_expires_time_ns=None, revision=1)
                for one in ids
            ])  # fmt: skip
            many(connection, ecus.insert(), [
                registry_scope.row(scope, vehicle=one, serial="b", hardware_id="brake-hw", public_key="",
                                   is_primary=True, registered_time_ns=NOW, counter=1, path=held.path,
                                   length=1000, sha256=OLD, release_counter=1, attacks="")
                for one in ids
            ])  # fmt: skip
            many(connection, update_vehicles.insert(), [
                registry_scope.row(scope, vehicle=one, configuration=name, counter=1, reported_time_ns=NOW,
                                   report=b"", rxswin="{}", is_listening=False)
                for one in ids
            ])  # fmt: skip
