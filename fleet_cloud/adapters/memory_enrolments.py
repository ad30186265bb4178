"""Claims and enrolments in memory, for trials and tests: nothing outlives the process."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from fairway.errors import BadInput, Conflict
from fleet_cloud.enrolment.model import (
    LISTED_MAX,
    Allowance,
    Claim,
    Enrolment,
    EnrolmentState,
    Standing,
)


class MemoryEnrolments:
    """Keeps claims, their lists, and requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[tuple[str, str], Claim] = {}
        self._lists: dict[tuple[str, str], dict[str, Allowance]] = {}
        self._kept: dict[str, Enrolment] = {}

    def create(self, claim: Claim, vehicles: Sequence[str]) -> None:
        with self._lock:
            key = (claim.tenant, claim.name)
            if key in self._claims:
                raise Conflict(f"tenant {claim.tenant} has a claim called {claim.name} already")
            self._claims[key] = claim
            self._lists[key] = {vehicle: Allowance(vehicle) for vehicle in vehicles}

    def allow(self, tenant: str, name: str, vehicles: Sequence[str]) -> None:
        with self._lock:
            if (tenant, name) not in self._claims:
                raise BadInput(f"tenant {tenant} has no claim called {name}")
            self._lists[tenant, name] |= {vehicle: Allowance(vehicle) for vehicle in vehicles}

    def revoke(self, tenant: str, name: str, now_ns: int) -> None:
        with self._lock:
            known = self._claims.get((tenant, name))
            if known is None or known.revoked_time_ns is not None:
                raise BadInput(f"tenant {tenant} has no claim called {name} that is in force")
            self._claims[tenant, name] = replace(known, revoked_time_ns=now_ns)

    def claims(self) -> list[tuple[Claim, list[Allowance]]]:
        with self._lock:
            return [
                (claim, sorted(self._lists[key].values(), key=lambda one: one.vehicle))
                for key, claim in sorted(self._claims.items())
            ]

    def standing(self, tenant: str, claim: str, vehicle: str, key_sha256: str) -> Standing:
        with self._lock:
            of_it = [
                one for one in self._kept.values() if (one.tenant, one.vehicle) == (tenant, vehicle)
            ]
            with_key = [one for one in of_it if one.key_sha256 == key_sha256]
            renewed = [
                one.decided_time_ns or 0
                for one in of_it
                if not one.claim and one.state is EnrolmentState.ISSUED
            ]
            return Standing(
                self._claims.get((tenant, claim)),
                self._lists.get((tenant, claim), {}).get(vehicle),
                max(with_key, key=_age, default=None),
                max(renewed, default=None),
            )

    def open(self, enrolment: Enrolment) -> bool:
        with self._lock:
            if enrolment.claim:
                listed = self._lists.get((enrolment.tenant, enrolment.claim), {})
                known = listed.get(enrolment.vehicle)
                if known is None or known.used_key:
                    return False
                listed[enrolment.vehicle] = Allowance(
                    enrolment.vehicle, enrolment.key_sha256, enrolment.requested_time_ns
                )
            self._kept[enrolment.id] = enrolment
            return True

    def settle(self, enrolment: Enrolment, was: EnrolmentState) -> bool:
        with self._lock:
            known = self._kept.get(enrolment.id)
            if known is None or known.state is not was:
                return False
            self._kept[enrolment.id] = enrolment
            return True

    def enrolments(self, state: EnrolmentState | None = None) -> list[Enrolment]:
        with self._lock:
            found = [one for one in self._kept.values() if state in (None, one.state)]
            return sorted(found, key=_age, reverse=True)[:LISTED_MAX]


def _age(one: Enrolment) -> tuple[int, str]:
    return one.requested_time_ns, one.id
