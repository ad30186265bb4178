"""Calls at every gRPC route of the cloud, as somebody with some certificate: what comes of them."""

import hashlib
from dataclasses import dataclass
from typing import Any

import grpc

from edge_agent.adapters.identity_files import signing_request
from fairway.control import CampaignList, CheckIn
from fairway.enrolment import Ask, Granted
from fairway.signers import file
from fairway.telemetry import Outcome
from fairway.wire.artifacts import Fetch, piece_from_bytes, request_to_bytes
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fairway.wire.enrolment import answer_from_bytes, ask_to_bytes
from fairway.wire.telemetry import receipts_from_bytes
from fleet_cloud.adapters.peer_certificates import shown as shown_by
from fleet_cloud.control.ports import (
    Vehicle as VehicleOf,
)
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES, Desk, batch_bytes

TELEMETRY = "/fairway.v1.IngestService/Telemetry"
CONTROL = "/fairway.v1.ControlService/Control"
ENROL = "/fairway.v1.EnrolmentService/Enrol"
FETCH = "/fairway.v1.ArtifactService/Fetch"


@dataclass
class Shown:
    """What somebody shows at the door."""

    key: bytes | None = None
    certificate: bytes | None = None


@dataclass
class Place:
    """A door, what was stored behind it, and everybody's certificates."""

    port: int
    ca: bytes
    desk: Desk
    shown: dict[str, Shown]


def artifact_of(tenant: str) -> str:
    return f"sha256:{hashlib.sha256(tenant.encode()).hexdigest()}"


def fetched(place: Place, credentials: grpc.ChannelCredentials, tenant: str) -> str:
    """Fetch what a tenant has, and return what it says: its tenant, or the status."""
    request = request_to_bytes(Fetch(artifact_of(tenant)))
    with grpc.secure_channel(f"127.0.0.1:{place.port}", credentials) as channel:
        call: Any = channel.unary_stream(FETCH)
        try:
            pieces = [piece_from_bytes(data) for data in call(request, timeout=10)]
        except grpc.RpcError as error:
            refused: Any = error
            return str(refused.code().name)
    return b"".join(piece.data for piece in pieces).decode()


def enrolled(place: Place, credentials: grpc.ChannelCredentials, vehicle: str) -> str:
    """Ask for a certificate of `vehicle`, and return the tenant that it is issued by, or the status."""
    request = ask_to_bytes(Ask(vehicle, signing_request(vehicle, file.fresh())))
    with grpc.secure_channel(f"127.0.0.1:{place.port}", credentials) as channel:
        call: Any = channel.unary_unary(ENROL)
        try:
            answer = answer_from_bytes(call(request, timeout=10))
        except grpc.RpcError as error:
            refused: Any = error
            return str(refused.code().name)
    assert isinstance(answer, Granted)
    identity = shown_by(answer.certificate_pem)[1]
    assert identity is not None
    assert identity.name == vehicle
    return identity.scope.tenant


def checked_in(place: Place, credentials: grpc.ChannelCredentials, vehicle: str) -> str:
    """Check in, and return the tenant whose campaigns are sent, which its vehicle then has; or the status."""
    said = from_vehicle_to_bytes(CheckIn(f"of {vehicle}", 1))
    with grpc.secure_channel(f"127.0.0.1:{place.port}", credentials) as channel:
        call: Any = channel.stream_stream(CONTROL)
        answers = call(iter([said]), timeout=10)
        try:
            told = to_vehicle_from_bytes(next(answers))
        except grpc.RpcError as error:
            refused: Any = error
            return str(refused.code().name)
        answers.cancel()
    assert isinstance(told, CampaignList)
    (order,) = told.campaigns
    tenant = order.campaign.name.removeprefix("of-")
    kept = place.desk.registry.said.check_in(VehicleOf(tenant, vehicle))
    assert kept is not None
    assert kept.check_in.agent_version == f"of {vehicle}"
    return tenant


def answered(place: Place, route: str, shown: Shown, vehicle: str) -> str:
    """Send a batch of `vehicle`, and return the tenant it was stored for, or the status."""
    credentials = grpc.ssl_channel_credentials(place.ca, shown.key, shown.certificate)
    if route == ENROL:
        return enrolled(place, credentials, vehicle)
    if route == FETCH:
        return fetched(place, credentials, vehicle)
    if route == CONTROL:
        return checked_in(place, credentials, vehicle)
    place.desk.store.batches.clear()
    sent = iter([DICTIONARY_BYTES, batch_bytes(1, vehicle=vehicle)])
    with grpc.secure_channel(f"127.0.0.1:{place.port}", credentials) as channel:
        call: Any = channel.stream_stream(route)
        try:
            (answer,) = call(sent, timeout=10)
        except grpc.RpcError as error:
            assert place.desk.store.batches == {}
            refused: Any = error
            return str(refused.code().name)
    receipts = receipts_from_bytes(answer)
    assert [receipt.outcome for receipt in receipts] == [Outcome.STORED]
    ((key, batch),) = place.desk.store.batches.items()
    assert key.name.vehicle == vehicle
    return batch.tenant
