"""Where certificates are asked for: reads what is known, has it decided, does it, and writes it down.

    standing --> decide --> open (one wins) --> sign --> vehicle --> audit --> certificate --> settle --> answer

Rule 1: what is refused is audited; what is granted is audited before the certificate is registered or leaves.
Rule 2: a new vehicle is registered at the very time its enrolment was opened, which tells whose it is: of two
claims that enrol one vehicle at once one makes it, and the other waits for a person, as for any replacement.
Rule 3: whoever loses a race asks `decide` once more, and gets what the winner has left.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from fairway.enrolment import Ask, Endpoints, Granted, Waiting
from fairway.errors import Conflict, Denied, Unavailable
from fleet_cloud.audit.acts import Act, Audit, Outcome
from fleet_cloud.enrolment.decide import (
    Asked,
    Decision,
    Hold,
    Issue,
    Reason,
    Refuse,
    Repeat,
    Take,
    decide,
)
from fleet_cloud.enrolment.model import Enrolment, Enrolments, EnrolmentState
from fleet_cloud.enrolment.requests import SigningRequest, signing_request
from fleet_cloud.vehicles.certificates import REPLACED, Certificate, Certificates
from fleet_cloud.vehicles.registry import (
    Vehicle,
    VehicleRegistry,
    VehicleState,
    checked_vehicle_name,
)

# A person looks at a replacement in minutes, not in seconds.
PENDING_RETRY_S = 30


class TooSoon(Unavailable):
    """Asked too often; the same request works in some minutes."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks, as TLS has proved it."""

    tenant: str
    claim: str = ""  # a claim's name
    vehicle: str = ""  # or a vehicle's id
    sha256: str = ""  # of the certificate shown

    @property
    def actor(self) -> str:
        """What the audit log calls it."""
        return f"claim:{self.claim}" if self.claim else f"vehicle:{self.vehicle}"


@dataclass(frozen=True, slots=True)
class Given:
    """What comes of a request that was granted, or waits."""

    answer: Granted | Waiting
    sha256: str = ""  # of a certificate that is new, for whoever waits until doors know it


class Issuer(Protocol):
    """Signs certificates of vehicles."""

    def __call__(
        self, tenant: str, vehicle: str, key: ec.EllipticCurvePublicKey, now_ns: int
    ) -> tuple[bytes, Certificate]:
        """Return the chain (PEM), and what the registry keeps.  Raises BadInput, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What a vehicle is told with its certificate."""

    anchors_pem: bytes
    endpoints: Endpoints


class Desk:
    """Decides requests, one after the other or many at once."""

    def __init__(  # noqa: PLR0913 - one port each
        self,
        *,
        enrolments: Enrolments,
        vehicles: VehicleRegistry,
        certificates: Certificates,
        issuer: Issuer,
        audit: Audit,
        new_id: Callable[[], str],
        place: Callable[[], Place],
    ) -> None:
        self._enrolments, self._vehicles, self._certificates = enrolments, vehicles, certificates
        self._issuer, self._audit = issuer, audit
        self._new_id, self._place = new_id, place

    def enrol(self, peer: Peer, ask: Ask, now_ns: int) -> Given:
        """Grant a request, or have it wait.  Raises BadInput, Denied, TooSoon, Unavailable."""
        if peer.vehicle and peer.vehicle != ask.vehicle:
            self._refused(peer, ask.vehicle, "another vehicle's certificate")
            raise Denied(f"{peer.vehicle} may ask for its own certificate, not for another's")
        checked_vehicle_name(ask.vehicle)
        request = signing_request(ask.csr_der, vehicle=ask.vehicle)
        # Whoever was slower in a race finds the other's allowance used, and never has to come a third time.
        for _ in range(3):
            given = self._once(peer, ask, request, now_ns)
            if given is not None:
                return given
        raise Unavailable("others are asking for the same vehicle at this moment: ask again")

    def _once(self, peer: Peer, ask: Ask, request: SigningRequest, now_ns: int) -> Given | None:
        asked = Asked(peer.tenant, ask.vehicle, request.key_sha256, peer.claim, peer.sha256)
        standing = self._enrolments.standing(
            peer.tenant, peer.claim, ask.vehicle, request.key_sha256
        )
        known = self._vehicles.vehicle(ask.vehicle)
        decision: Decision = decide(asked, standing, known, now_ns)
        match decision:
            case Refuse(reason):
                raise self._refusal(peer, ask, reason)
            case Hold():
                return self._waiting()
            case Repeat(enrolment):
                return Given(self._granted(enrolment.certificate_pem))
            case Issue(enrolment, replaces):
                return self._issue(peer, enrolment, request, now_ns, replaces=replaces)
            case Take(state):
                return self._take(peer, ask, asked, request, state, now_ns)

    def _take(
        self,
        peer: Peer,
        ask: Ask,
        asked: Asked,
        request: SigningRequest,
        state: EnrolmentState,
        now_ns: int,
    ) -> Given | None:
        enrolment = Enrolment(
            id=self._new_id(),
            tenant=asked.tenant,
            vehicle=asked.vehicle,
            claim=asked.claim,
            key_sha256=asked.key_sha256,
            state=state,
            requested_time_ns=now_ns,
            hardware_serial=ask.hardware_serial,
            agent_version=ask.agent_version,
        )
        if not self._enrolments.open(enrolment):
            return None
        if state is EnrolmentState.PENDING:
            self._write("enrolment.request", peer, ask.vehicle, enrolment=enrolment.id)
            return self._waiting()
        return self._issue(peer, enrolment, request, now_ns, replaces=False)

    def _issue(
        self,
        peer: Peer,
        enrolment: Enrolment,
        request: SigningRequest,
        now_ns: int,
        *,
        replaces: bool,
    ) -> Given | None:
        chain, record = self._issuer(
            enrolment.tenant, enrolment.vehicle, request.public_key, now_ns
        )
        if enrolment.claim and not self._register(enrolment, record) and not replaces:
            waiting = replace(enrolment, state=EnrolmentState.PENDING)
            if self._enrolments.settle(waiting, enrolment.state):
                self._write("enrolment.request", peer, enrolment.vehicle, enrolment=enrolment.id)
            return None
        action = "enrolment.issue" if enrolment.claim else "enrolment.renew"
        self._write(
            action, peer, enrolment.vehicle, enrolment=enrolment.id, certificate=record.sha256
        )
        self._certificates.record(record, replaces=replaces)
        issued = replace(
            enrolment,
            state=EnrolmentState.ISSUED,
            decided_time_ns=now_ns,
            certificate_pem=chain,
        )
        if not self._enrolments.settle(issued, enrolment.state):
            return None  # the same key asked twice at once; the other answer is as good
        return Given(self._granted(chain), record.sha256)

    def _register(self, enrolment: Enrolment, record: Certificate) -> bool:
        """Register the vehicle of an enrolment, and return whether it is this enrolment's."""
        vehicle = Vehicle(
            record.vehicle,
            record.tenant,
            VehicleState.ACTIVE,
            enrolment.requested_time_ns,
            None,
            record.sha256,
            record.expires_time_ns,
        )
        try:
            self._vehicles.add(vehicle)
        except Conflict:
            known = self._vehicles.vehicle(record.vehicle)
            return known is not None and known.registered_time_ns == enrolment.requested_time_ns
        return True

    def _granted(self, chain: bytes) -> Granted:
        place = self._place()
        return Granted(chain, place.anchors_pem, place.endpoints)

    def _waiting(self) -> Given:
        return Given(Waiting(PENDING_RETRY_S, self._place().endpoints.region))

    def _refusal(self, peer: Peer, ask: Ask, reason: Reason) -> Denied | TooSoon:
        if reason is Reason.TOO_SOON:
            return TooSoon(f"{ask.vehicle}: {reason}")
        action = "claim.reuse" if reason is Reason.REUSED else "enrolment.deny"
        self._refused(peer, ask.vehicle, reason.value, action=action)
        return Denied(f"{ask.vehicle}: {reason}")

    def _refused(
        self, peer: Peer, vehicle: str, reason: str, *, action: str = "enrolment.deny"
    ) -> None:
        self._write(action, peer, vehicle, outcome=Outcome.DENIED, reason=reason)

    def _write(
        self,
        action: str,
        peer: Peer,
        vehicle: str,
        *,
        outcome: Outcome = Outcome.DONE,
        **facts: str,
    ) -> None:
        self._audit.write(
            Act(action, peer.actor, f"vehicle:{vehicle}", peer.tenant, outcome, facts)
        )


def chosen(pending: list[Enrolment], name: str) -> Enrolment:
    """Return the one request that `name` (an id, or a vehicle) means.  Raises Conflict for none or many."""
    found = [one for one in pending if name in (one.id, one.vehicle)]
    if not found:
        raise Conflict(f"no enrolment of {name} waits for a decision: see `enrolment list`")
    if len(found) > 1:
        ids = ", ".join(one.id for one in found[:5])
        raise Conflict(f"{name} has {len(found)} enrolments that wait: say which by its id ({ids})")
    return found[0]


def approve(
    enrolments: Enrolments,
    certificates: Certificates,
    audit: Audit,
    *,
    name: str,
    actor: str,
    now_ns: int,
) -> tuple[Enrolment, int]:
    """Let a replacement in, and shut the old head unit out at once.  Raises Conflict, Unavailable.

    Returns the enrolment, and how many certificates were revoked.
    """
    enrolment = _decided(enrolments, audit, name, "approve", EnrolmentState.APPROVED, actor, now_ns)
    return enrolment, certificates.revoke(enrolment.vehicle, now_ns, REPLACED)


def reject(
    enrolments: Enrolments, audit: Audit, *, name: str, actor: str, now_ns: int
) -> Enrolment:
    """Refuse a replacement; the old head unit stays.  Raises Conflict, Unavailable."""
    return _decided(enrolments, audit, name, "reject", EnrolmentState.REJECTED, actor, now_ns)


def _decided(  # noqa: PLR0913, PLR0917 - one fact each
    enrolments: Enrolments,
    audit: Audit,
    name: str,
    verb: str,
    state: EnrolmentState,
    actor: str,
    now_ns: int,
) -> Enrolment:
    waiting = chosen(enrolments.enrolments(EnrolmentState.PENDING), name)
    facts = {"enrolment": waiting.id, "key": waiting.key_sha256}
    audit.write(
        Act(f"enrolment.{verb}", actor, f"vehicle:{waiting.vehicle}", waiting.tenant, details=facts)
    )
    decided = replace(waiting, state=state, decided_time_ns=now_ns, decided_by=actor)
    if not enrolments.settle(decided, EnrolmentState.PENDING):
        raise Conflict(f"somebody else has decided about {waiting.vehicle} meanwhile: look again")
    return decided
