"""The certificates of the fleet in SQL."""

from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fleet_cloud.adapters.registry_schema import certificates, vehicles
from fleet_cloud.adapters.registry_scope import changed, chosen, in_region, row
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.registry_vehicles import next_revision, tenant_of
from fleet_cloud.vehicles.certificates import REPLACED, Certificate, CertificateState

_LIVE = (CertificateState.ACTIVE.value, CertificateState.SUPERSEDED.value)


class SqlCertificates:
    """Keeps certificates in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def record(self, certificate: Certificate, *, replaces: bool = False) -> None:
        scope = Scope(self._region, certificate.tenant)
        with self._database.writing() as connection:
            revision = next_revision(connection, self._region)
            self._end_others(connection, scope, certificate, revision, replaces=replaces)
            values = row(
                scope,
                sha256=certificate.sha256,
                number=certificate.number,
                vehicle=certificate.vehicle,
                serial=certificate.serial,
                issued_time_ns=certificate.issued_time_ns,
                expires_time_ns=certificate.expires_time_ns,
                state=certificate.state.value,
                ended_time_ns=certificate.ended_time_ns,
                reason=certificate.reason,
                revision=revision,
            )
            connection.execute(self._insert(certificates).values(values).on_conflict_do_nothing())
            connection.execute(
                changed(vehicles, scope, vehicles.c.id == certificate.vehicle).values(
                    certificate_sha256=certificate.sha256,
                    certificate_expires_time_ns=certificate.expires_time_ns,
                )
            )

    def of_vehicle(self, vehicle: str) -> list[Certificate]:
        with self._database.reading() as connection:
            tenant = tenant_of(connection, self._region, vehicle)
            if tenant is None:
                return []
            wanted = chosen(
                certificates, Scope(self._region, tenant), certificates.c.vehicle == vehicle
            )
            order = (certificates.c.issued_time_ns.desc(), certificates.c.sha256)
            return [_certificate(found) for found in connection.execute(wanted.order_by(*order))]

    def revoke(self, vehicle: str, now_ns: int, reason: str, *, sha256: str = "") -> int:
        with self._database.writing() as connection:
            tenant = tenant_of(connection, self._region, vehicle)
            if tenant is None:
                return 0
            conditions = [certificates.c.vehicle == vehicle, certificates.c.state.in_(_LIVE)]
            if sha256:
                conditions.append(certificates.c.sha256 == sha256)
            end = changed(certificates, Scope(self._region, tenant), *conditions).values(
                state=CertificateState.REVOKED.value,
                ended_time_ns=now_ns,
                reason=reason,
                revision=next_revision(connection, self._region),
            )
            return int(connection.execute(end).rowcount)

    def changed(self, after_revision: int, until_revision: int) -> list[Certificate]:
        wanted = in_region(
            certificates,
            self._region,
            certificates.c.revision > after_revision,
            certificates.c.revision <= until_revision,
        )
        with self._database.reading() as connection:
            return [_certificate(found) for found in connection.execute(wanted)]

    def _end_others(
        self,
        connection: Connection,
        scope: Scope,
        certificate: Certificate,
        revision: int,
        *,
        replaces: bool,
    ) -> None:
        ended = _LIVE if replaces else (CertificateState.ACTIVE.value,)
        state = CertificateState.REVOKED if replaces else CertificateState.SUPERSEDED
        others = changed(
            certificates,
            scope,
            certificates.c.vehicle == certificate.vehicle,
            certificates.c.sha256 != certificate.sha256,
            certificates.c.state.in_(ended),
        )
        connection.execute(
            others.values(
                state=state.value,
                ended_time_ns=certificate.issued_time_ns,
                reason=REPLACED if replaces else "",
                revision=revision,
            )
        )


def _certificate(found: Row[tuple[object, ...]]) -> Certificate:
    return Certificate(
        sha256=found.sha256,
        number=found.number,
        vehicle=found.vehicle,
        serial=found.serial,
        issued_time_ns=found.issued_time_ns,
        expires_time_ns=found.expires_time_ns,
        state=CertificateState(found.state),
        ended_time_ns=found.ended_time_ns,
        reason=found.reason,
        tenant=found.tenant,
    )
