"""Claims, their lists and enrolments in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import BadInput, Conflict
from fairway.identity import Scope
from fleet_cloud.adapters.registry_schema import (
    enrolment_allowances,
    enrolment_claims,
    enrolments,
)
from fleet_cloud.adapters.registry_scope import changed, chosen, in_region, row
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.enrolment.model import (
    LISTED_MAX,
    Allowance,
    Claim,
    Enrolment,
    EnrolmentState,
    Standing,
)


class SqlEnrolments:
    """Keeps claims, their lists, and requests in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def create(self, claim: Claim, vehicles: Sequence[str]) -> None:
        scope = Scope(self._region, claim.tenant)
        values = row(
            scope,
            name=claim.name,
            sha256=claim.sha256,
            serial=claim.serial,
            created_time_ns=claim.created_time_ns,
            expires_time_ns=claim.expires_time_ns,
            revoked_time_ns=claim.revoked_time_ns,
        )
        with self._database.writing() as connection:
            added = connection.execute(
                self._insert(enrolment_claims)
                .values(values)
                .on_conflict_do_nothing()
                .returning(enrolment_claims.c.name)
            ).first()
            if added is None:
                raise Conflict(f"tenant {claim.tenant} has a claim called {claim.name} already")
            self._allow(connection, scope, claim.name, vehicles)

    def allow(self, tenant: str, name: str, vehicles: Sequence[str]) -> None:
        scope = Scope(self._region, tenant)
        with self._database.writing() as connection:
            known = chosen(enrolment_claims, scope, enrolment_claims.c.name == name)
            if connection.execute(known).first() is None:
                raise BadInput(f"tenant {tenant} has no claim called {name}")
            self._allow(connection, scope, name, vehicles)

    def revoke(self, tenant: str, name: str, now_ns: int) -> None:
        end = changed(
            enrolment_claims,
            Scope(self._region, tenant),
            enrolment_claims.c.name == name,
            enrolment_claims.c.revoked_time_ns.is_(None),
        ).values(revoked_time_ns=now_ns)
        with self._database.writing() as connection:
            if not connection.execute(end).rowcount:
                raise BadInput(f"tenant {tenant} has no claim called {name} that is in force")

    def claims(self) -> list[tuple[Claim, list[Allowance]]]:
        claims, lists = enrolment_claims, enrolment_allowances
        with self._database.reading() as connection:
            found = connection.execute(
                in_region(claims, self._region).order_by(claims.c.tenant, claims.c.name)
            ).all()
            listed = connection.execute(
                in_region(lists, self._region).order_by(lists.c.vehicle)
            ).all()
        of_claim: dict[tuple[str, str], list[Allowance]] = {}
        for one in listed:
            of_claim.setdefault((one.tenant, one.claim), []).append(_allowance(one))
        return [(_claim(one), of_claim.get((one.tenant, one.name), [])) for one in found]

    def standing(self, tenant: str, claim: str, vehicle: str, key_sha256: str) -> Standing:
        scope = Scope(self._region, tenant)
        of_it = chosen(enrolments, scope, enrolments.c.vehicle == vehicle)
        newest = (enrolments.c.requested_time_ns.desc(), enrolments.c.id.desc())
        with_key = of_it.where(enrolments.c.key_sha256 == key_sha256).order_by(*newest).limit(1)
        renewed = (
            of_it.where(enrolments.c.claim == "", enrolments.c.state == EnrolmentState.ISSUED.value)
            .order_by(enrolments.c.decided_time_ns.desc())
            .limit(1)
        )
        listed = enrolment_allowances.c
        with self._database.reading() as connection:
            asks = connection.execute(
                chosen(enrolment_claims, scope, enrolment_claims.c.name == claim)
            ).first()
            allowed = connection.execute(
                chosen(
                    enrolment_allowances, scope, listed.claim == claim, listed.vehicle == vehicle
                )
            ).first()
            same = connection.execute(with_key).first()
            last = connection.execute(renewed).first()
        return Standing(
            None if asks is None else _claim(asks),
            None if allowed is None else _allowance(allowed),
            None if same is None else _enrolment(same),
            None if last is None else last.decided_time_ns,
        )

    def open(self, enrolment: Enrolment) -> bool:
        scope = Scope(self._region, enrolment.tenant)
        listed = enrolment_allowances.c
        use = changed(
            enrolment_allowances,
            scope,
            listed.claim == enrolment.claim,
            listed.vehicle == enrolment.vehicle,
            listed.used_key == "",
        ).values(used_key=enrolment.key_sha256, used_time_ns=enrolment.requested_time_ns)
        with self._database.writing() as connection:
            # The second of two waits for the first's lock, and then finds it used.
            if enrolment.claim and not connection.execute(use).rowcount:
                return False
            connection.execute(self._insert(enrolments).values(row(scope, **_values(enrolment))))
        return True

    def settle(self, enrolment: Enrolment, was: EnrolmentState) -> bool:
        to = changed(
            enrolments,
            Scope(self._region, enrolment.tenant),
            enrolments.c.id == enrolment.id,
            enrolments.c.state == was.value,
        ).values(**_values(enrolment))
        with self._database.writing() as connection:
            return bool(connection.execute(to).rowcount)

    def enrolments(self, state: EnrolmentState | None = None) -> list[Enrolment]:
        wanted = in_region(enrolments, self._region)
        if state is not None:
            wanted = wanted.where(enrolments.c.state == state.value)
        newest = (enrolments.c.requested_time_ns.desc(), enrolments.c.id.desc())
        with self._database.reading() as connection:
            found = connection.execute(wanted.order_by(*newest).limit(LISTED_MAX))
            return [_enrolment(one) for one in found]

    def _allow(self, connection: Any, scope: Scope, name: str, vehicles: Sequence[str]) -> None:
        for some in chunks(list(dict.fromkeys(vehicles))):
            rows = [
                row(scope, claim=name, vehicle=vehicle, used_key="", used_time_ns=None)
                for vehicle in some
            ]
            connection.execute(
                self._insert(enrolment_allowances)
                .values(rows)
                .on_conflict_do_update(
                    index_elements=["region", "tenant", "claim", "vehicle"],
                    set_={"used_key": "", "used_time_ns": None},
                )
            )


def _values(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "id": enrolment.id,
        "vehicle": enrolment.vehicle,
        "claim": enrolment.claim,
        "key_sha256": enrolment.key_sha256,
        "state": enrolment.state.value,
        "requested_time_ns": enrolment.requested_time_ns,
        "decided_time_ns": enrolment.decided_time_ns,
        "decided_by": enrolment.decided_by,
        "hardware_serial": enrolment.hardware_serial,
        "agent_version": enrolment.agent_version,
        "certificate_pem": enrolment.certificate_pem,
    }


def _enrolment(found: Row[tuple[object, ...]]) -> Enrolment:
    return Enrolment(
        id=found.id,
        tenant=found.tenant,
        vehicle=found.vehicle,
        claim=found.claim,
        key_sha256=found.key_sha256,
        state=EnrolmentState(found.state),
        requested_time_ns=found.requested_time_ns,
        decided_time_ns=found.decided_time_ns,
        decided_by=found.decided_by,
        hardware_serial=found.hardware_serial,
        agent_version=found.agent_version,
        certificate_pem=bytes(found.certificate_pem),
    )


def _claim(found: Row[tuple[object, ...]]) -> Claim:
    return Claim(
        tenant=found.tenant,
        name=found.name,
        sha256=found.sha256,
        serial=found.serial,
        created_time_ns=found.created_time_ns,
        expires_time_ns=found.expires_time_ns,
        revoked_time_ns=found.revoked_time_ns,
    )


def _allowance(found: Row[tuple[object, ...]]) -> Allowance:
    return Allowance(found.vehicle, found.used_key, found.used_time_ns)
