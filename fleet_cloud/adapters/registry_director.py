"""The Director in SQL: what each vehicle was told last, and the reports that vehicles give.

Rule 1: what a vehicle is told is signed anew when it is another, or when half of its life is over; two
processes that do so at once give the same number once: the second takes the first's.
Rule 2: a report counts when the vehicle's key, and the key of each ECU that has one, has signed it, and every
counter has grown.
"""

from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from fairway.errors import BadInput, Conflict, Tampered
from fairway.identity import Scope
from fairway.update import Stage, UpdateEvent
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_ecus import SqlEcus
from fleet_cloud.adapters.registry_offers import SqlOffers
from fleet_cloud.adapters.registry_rollout_tables import director_files, director_roots
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.registry_update_vehicles import SqlUpdateVehicles
from fleet_cloud.rollouts.director import Files, OnlineKeys, is_fresh, signed_files
from fleet_cloud.rollouts.ecus import checked, public_key_of
from fleet_cloud.rollouts.life import REVOCABLE_STAGES
from fleet_cloud.rollouts.model import rollout_of
from fleet_cloud.rollouts.offers import instructed
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.rollouts.records import REPORTS
from ota.report import VehicleReport
from ota.report_json import Verified, key_of, report_from_bytes, verify_report

# The number of an event that the cloud makes itself, of a vehicle that tells nothing but reports: above theirs.
REPORTED_SEQUENCE = 2**40

Keys = Callable[
    [str], OnlineKeys | None
]  # tenant -> its online keys; None: there is no Director yet


class SqlDirector:
    """The Director repository of a region's vehicles."""

    def __init__(
        self, database: Database, region: str, ecus: SqlEcus, offers: SqlOffers, keys: Keys
    ) -> None:
        self._database, self._region = database, region
        self._ecus, self._offers, self._keys = ecus, offers, keys
        self._vehicles = SqlUpdateVehicles(database, region)
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._insert = insert(director_files)

    def file(self, tenant: str, vehicle: str, name: str, now_ns: int) -> bytes | None:
        scope = Scope(self._region, tenant)
        number, is_root = _root_number(name)
        if is_root:
            return self._root(scope, number)
        files = self._files(scope, vehicle)
        if "." in name.removesuffix(".json"):  # of a refresh that has begun: what was said holds
            return files.named(name) if files else None
        order = instructed(vehicle, self._offers.standing(tenant, vehicle), now_ns)
        if files is None or not is_fresh(files, order, now_ns):
            keys = self._keys(tenant)
            if keys is None:
                return None
            version = files.version + 1 if files else 1
            files = self._put(scope, vehicle, files, signed_files(order, keys, version, now_ns))
        return files.named(name)

    def report(
        self,
        tenant: str,
        vehicle: str,
        signed: bytes,
        now_ns: int,
        identity: ec.EllipticCurvePublicKey | None = None,
    ) -> None:
        try:
            report = self._taken(tenant, vehicle, signed, now_ns, identity)
        except Tampered as error:
            self._vehicles.keep_evidence(tenant, vehicle, str(error), signed, now_ns)
            raise
        self._conclude(tenant, vehicle, report, now_ns)

    def put_root(self, tenant: str, version: int, content: bytes, now_ns: int) -> None:
        """Keep a root.  Raises Conflict when there is one of that version, Unavailable."""
        row = registry_scope.row(
            Scope(self._region, tenant), version=version, content=content, time_ns=now_ns
        )
        with self._database.writing() as connection:
            try:
                connection.execute(director_roots.insert().values(row))
            except IntegrityError as error:
                raise Conflict(f"the Director of {tenant} has a root {version} already") from error

    def _root(self, scope: Scope, number: int) -> bytes | None:
        c = director_roots.c
        wanted = registry_scope.chosen(director_roots, scope).order_by(c.version.desc()).limit(1)
        if number:
            wanted = registry_scope.chosen(director_roots, scope, c.version == number)
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else bytes(row.content)

    def _files(self, scope: Scope, vehicle: str) -> Files | None:
        c = director_files.c
        wanted = registry_scope.chosen(director_files, scope, c.vehicle == vehicle)
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            return None
        return Files(
            row.version,
            row.digest,
            row.expires_time_ns,
            bytes(row.targets),
            bytes(row.snapshot),
            bytes(row.timestamp),
        )

    def _put(self, scope: Scope, vehicle: str, before: Files | None, files: Files) -> Files:
        values: Mapping[str, object] = {
            "version": files.version,
            "digest": files.digest,
            "expires_time_ns": files.expires_time_ns,
            "targets": files.targets,
            "snapshot": files.snapshot,
            "timestamp": files.timestamp,
        }
        row = registry_scope.row(scope, vehicle=vehicle, **values)
        put = self._insert.values(row).on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle"],
            set_=dict(values),
            where=director_files.c.version == (before.version if before else 0),
        )
        with self._database.writing() as connection:
            is_ours = connection.execute(put.returning(director_files.c.version)).first()
        if is_ours is not None:
            return files
        newest = self._files(scope, vehicle)  # another was quicker
        assert newest is not None
        return newest

    def _taken(
        self,
        tenant: str,
        vehicle: str,
        signed: bytes,
        now_ns: int,
        identity: ec.EllipticCurvePublicKey | None,
    ) -> VehicleReport:
        scope = Scope(self._region, tenant)
        said = report_from_bytes(signed)
        if said.vehicle != vehicle:
            raise Tampered(f"{vehicle} brings a report of {said.vehicle}")
        known = self._ecus.ecus(tenant, vehicle)
        if not known:
            if identity is None:
                raise BadInput(f"{vehicle} has to tell of its ECUs before it reports of them")
            # Its signatures are checked below; until then there is nothing that it could replace.
            known = _of_report(said)
        serials = {one.serial for one in known}
        if {one.serial for one in said.ecus} != serials:
            self._ecus.wait(tenant, vehicle, _of_report(said, known), now_ns)
            odd = sorted({one.serial for one in said.ecus} ^ serials)
            raise Tampered(f"{vehicle} reports of other ECUs than are known of it: {odd[0]}")
        with self._database.writing() as connection:
            counters = self._ecus.counters(connection, scope, vehicle)
            report = _verified(signed, vehicle, known, identity, counters).report
            if len(counters) == 1:
                self._ecus.put_first(connection, scope, vehicle, known, now_ns)
            series, _ = rollout_of(report.action)
            is_ours = bool(series) and self._offers.knows(connection, scope, series)
            self._ecus.take(
                connection, scope, report, signed, now_ns, series if is_ours else REPORTS
            )
        return report

    def _conclude(self, tenant: str, vehicle: str, report: VehicleReport, now_ns: int) -> None:
        """Take the report for the end of an order, of a vehicle that tells nothing but reports."""
        standing = self._offers.standing(tenant, vehicle)
        if standing is None or report.action != standing.one.action:
            return
        has_told = standing.one.sequence >= 0 or standing.one.stage not in REVOCABLE_STAGES
        is_there = bool(standing.fit.given) and not any(one.is_news for one in standing.fit.given)
        if has_told or not is_there:
            return
        event = UpdateEvent(
            report.action, REPORTED_SEQUENCE, now_ns, Stage.COMMITTED, sentence="as it reports"
        )
        self._offers.tell(tenant, vehicle, [event], now_ns)


def _root_number(name: str) -> tuple[int, bool]:
    number, dot, rest = name.partition(".")
    if name == "root.json":
        return 0, True
    is_number = number.isascii() and number.isdecimal() and len(number) < 10 and int(number) > 0
    return (int(number), True) if dot and rest == "root.json" and is_number else (0, False)


def _verified(
    signed: bytes,
    vehicle: str,
    known: tuple[RegisteredEcu, ...],
    identity: ec.EllipticCurvePublicKey | None,
    counters: Mapping[str, int],
) -> Verified:
    primary = next(one for one in known if one.is_primary)
    if primary.public_key:
        key = public_key_of(primary)
    elif identity is not None:
        key = key_of(identity)
    else:
        raise BadInput(f"nobody knows with which key {vehicle} signs: register its primary's")
    keys = {
        one.serial: public_key_of(one) for one in known if one.public_key and not one.is_primary
    }
    return verify_report(signed, key, keys, counters)


def _of_report(
    report: VehicleReport, known: tuple[RegisteredEcu, ...] = ()
) -> tuple[RegisteredEcu, ...]:
    keys = {one.serial: one.public_key for one in known}
    return checked(
        [
            RegisteredEcu(
                one.serial,
                one.hardware_id or "unknown",
                keys.get(one.serial, ""),
                is_primary=one.serial == report.primary,
            )
            for one in report.ecus
        ]
    )
