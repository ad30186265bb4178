"""fairway.v1.EnrolmentService, behind the gRPC door: the one thing that a claim may call.

Rule 1: who asks is said by the client certificate alone.  A claim may enrol, and nothing else; a vehicle asks
for itself, with a certificate that the registry knows.
Rule 2: the answer leaves when this process lets the new certificate in: the vehicle connects with it at once.
Rule 3: whoever is refused too often is not listened to for a while, and nothing more of it is written down.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import grpc

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, Conflict, Denied, FairwayError, Unavailable
from fairway.identity import Kind
from fairway.wire.enrolment import answer_to_bytes, ask_from_bytes
from fleet_cloud.adapters.peer_certificates import shown
from fleet_cloud.enrolment.desk import Desk, Given, Peer, TooSoon
from fleet_cloud.enrolment.limits import Refusals
from fleet_cloud.vehicles.certificates import Member

log = logs.get("fleet_cloud.enrolment")

SERVICE = "fairway.v1.EnrolmentService"
# The fleet is looked at every half second.
KNOWN_WAIT_S = 3.0
_LOOK_S = 0.05
# The first that fits.
_STATUS: Mapping[type[FairwayError], grpc.StatusCode] = {
    BadInput: grpc.StatusCode.INVALID_ARGUMENT,
    Denied: grpc.StatusCode.PERMISSION_DENIED,
    TooSoon: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    FairwayError: grpc.StatusCode.UNAVAILABLE,  # somebody was faster: asking again helps
}


class _Context(Protocol):
    """What is used of a call's context; grpc's own class is not typed that far."""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]: ...

    def peer(self) -> str: ...

    async def abort(self, code: grpc.StatusCode, details: str) -> None: ...


class EnrolmentDoor:
    """Takes requests for certificates over gRPC."""

    def __init__(
        self,
        *,
        desk: Desk,
        clock: Clock,
        region: str,
        members: Callable[[], Mapping[str, Member]],
    ) -> None:
        self._desk, self._clock = desk, clock
        self._region, self._members = region, members
        self._refusals = Refusals()

    def service(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server needs to answer."""
        handler: Any = grpc.unary_unary_rpc_method_handler(self._enrol)
        return grpc.method_handlers_generic_handler(SERVICE, {"Enrol": handler})

    async def _enrol(self, data: bytes, context: _Context) -> bytes:
        who = await self._peer(context)
        counted = f"{who.actor} {context.peer().rpartition(':')[0]}"
        wait_s = self._refusals.wait_s(counted, self._clock.monotonic_ns())
        if wait_s:
            error = TooSoon(f"refused too often: come again in {wait_s} s")
            await _abort(context, error)
        try:
            ask = ask_from_bytes(data)
            given = await asyncio.to_thread(self._desk.enrol, who, ask, self._clock.now_ns())
        except (BadInput, Denied) as error:
            self._refusals.add(counted, self._clock.monotonic_ns())
            log.warning("enrolment_refused", who=counted, reason=str(error))
            await _abort(context, error)
        except (Unavailable, Conflict) as error:
            log.warning("enrolment_unavailable", who=counted, reason=str(error))
            await _abort(context, error)
        await self._known(ask.vehicle, given)
        log.info("enrolment_answered", who=counted, vehicle=ask.vehicle, is_new=bool(given.sha256))
        return answer_to_bytes(given.answer)

    async def _peer(self, context: _Context) -> Peer:
        certificates: Sequence[bytes] = context.auth_context().get("x509_pem_cert", ())
        try:
            name, identity, sha256 = shown(certificates[0] if certificates else b"")
        except BadInput as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise  # for the type checker: abort does not return
        if identity is not None and identity.scope.region != self._region:
            await _abort(
                context, Denied(f"the client certificate is of region {identity.scope.region}")
            )
        if identity is not None and identity.kind is Kind.CLAIM:
            return Peer(identity.scope.tenant, claim=name, sha256=sha256)
        member = self._members().get(name)
        is_vehicle = identity is None or identity.kind is Kind.VEHICLE
        if not is_vehicle or member is None or not member.shows(sha256):
            log.warning("vehicle_denied", vehicle=name, certificate=sha256[:16], door="enrolment")
            await _abort(context, Denied(f"{name} is not let in with this certificate"))
        assert member is not None
        return Peer(member.tenant, vehicle=name, sha256=sha256)

    async def _known(self, vehicle: str, given: Given) -> None:
        """Wait until the vehicle is let in with a certificate that is new; a while later it is anyway."""
        looks = int(KNOWN_WAIT_S / _LOOK_S) if given.sha256 else 0
        for _ in range(looks):
            member = self._members().get(vehicle)
            if member is not None and given.sha256 in member.sha256s:
                return
            await asyncio.sleep(_LOOK_S)


async def _abort(context: _Context, error: FairwayError) -> NoReturn:
    code = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
    await context.abort(code, str(error)[:500])
    raise error  # for the type checker: abort does not return
