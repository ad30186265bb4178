"""The enrolment service behind the real gRPC door: who is let through to what."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.adapters.enrolment_grpc import METHOD, ask_cloud
from edge_agent.adapters.identity_files import signing_request
from edge_agent.adapters.uplink_tls import Address, address
from fairway.clock import SystemClock
from fairway.enrolment import Ask, Endpoints, Granted
from fairway.errors import BadInput, Denied, FairwayError, Unavailable
from fairway.identity import Kind
from fairway.signers import file
from fairway.v1 import enrolment_pb2 as v1
from fairway.wire.enrolment import ask_to_bytes
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.grpc import GrpcDoor
from fleet_cloud.adapters.grpc_enrolment import EnrolmentDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.pki_issuer import PkiIssuer
from fleet_cloud.enrolment.desk import Desk, Place
from fleet_cloud.enrolment.limits import REFUSED_MAX, Refusals
from fleet_cloud.enrolment.model import Claim
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.issued import Keys, keys_of

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CLOCK = SystemClock()
DAY_NS = 86_400 * 10**9


class House:
    """A door over a registry in memory, a claim, and a vehicle."""

    def __init__(self, folder: Path) -> None:
        self.pki = FilePki(folder / "pki", region="eu")
        self.pki.ensure([], CLOCK.now_ns())
        self.registry = memory_registry()
        self.fleet = Fleet(self.registry.vehicles, self.registry.certificates, CLOCK)
        now_ns = CLOCK.now_ns()
        self.claim = keys_of(self.pki, folder / "claim", "line-4", kind=Kind.CLAIM)
        self.registry.claims.create(
            Claim("default", "line-4", self.claim.record.sha256, "1f", now_ns, now_ns + DAY_NS),
            ["VIN1"],
        )
        self.vehicle = keys_of(self.pki, folder / "vehicle", "VIN9")
        self.registry.vehicles.add(Vehicle("VIN9", "default", VehicleState.ACTIVE, now_ns, None))
        self.registry.certificates.record(self.vehicle.record)
        self.fleet.refresh()
        desk = Desk(
            enrolments=self.registry.enrolments,
            vehicles=self.registry.vehicles,
            certificates=self.registry.certificates,
            issuer=PkiIssuer(self.pki, 90),
            audit=MemoryAudit(),
            new_id=iter(f"{n:032x}" for n in range(10**6)).__next__,
            place=lambda: Place(self.pki.ca.read_bytes(), Endpoints("", "grpcs://c:1", "eu")),
        )
        self.enrolment = EnrolmentDoor(desk=desk, clock=CLOCK, region="eu", members=self._members)
        self.door = GrpcDoor(
            intake=Intake(1_000_000),
            clock=CLOCK,
            members=self._members,
            services=[self.enrolment.service()],
        )
        self.port = 0

    def _members(self):
        self.fleet.refresh()
        return self.fleet.members

    async def start(self) -> None:
        """Listen."""
        pki = self.pki
        self.port = await self.door.start(
            "127.0.0.1:0", ca=pki.anchors, certificate=pki.server, key=pki.server_key
        )

    def target(self, keys: Keys) -> Address:
        """Return how the door is reached with somebody's certificate."""
        url = f"grpcs://127.0.0.1:{self.port}"
        return address(url, ca=keys.ca, certificate=keys.certificate, key=keys.key)

    async def ask(self, keys: Keys, vehicle: str, csr: bytes | None = None) -> object:
        """Return the answer, or the kind of error."""
        csr = signing_request(vehicle, file.fresh()) if csr is None else csr
        try:
            return await ask_cloud(self.target(keys), Ask(vehicle, csr))
        except FairwayError as error:
            return type(error)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.door.stop()


def channel(house: House, keys: Keys) -> grpc.aio.Channel:
    parts = [path.read_bytes() for path in (keys.ca, keys.key, keys.certificate)]
    return grpc.aio.secure_channel(f"127.0.0.1:{house.port}", grpc.ssl_channel_credentials(*parts))


def rpc(to_cloud: grpc.aio.Channel) -> Any:
    return to_cloud.unary_unary(METHOD)


async def test_a_claim_reaches_enrolment_and_nothing_else(house: House):
    assert isinstance(await house.ask(house.claim, "VIN1"), Granted)
    assert "VIN1" in house.fleet.members
    async with channel(house, house.claim) as to_cloud:
        call: Any = to_cloud.stream_stream("/fairway.v1.IngestService/Telemetry")()
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "that of a claim" in (await call.details() or "")


async def test_a_vehicle_asks_for_itself_with_a_certificate_that_is_in_force(house: House):
    assert isinstance(await house.ask(house.vehicle, "VIN9"), Granted)
    assert await house.ask(house.vehicle, "VIN1") is Denied
    house.registry.certificates.revoke("VIN9", CLOCK.now_ns(), "stolen")
    assert await house.ask(house.vehicle, "VIN9") is Denied


async def test_others_of_the_authority_are_denied(house: House, tmp_path: Path):
    unregistered = keys_of(house.pki, tmp_path / "other", "VIN8")
    other_claim = keys_of(house.pki, tmp_path / "claim2", "line-5", kind=Kind.CLAIM)
    # Same name as a claim that is registered, and another certificate: somebody had one made.
    same_name = keys_of(house.pki, tmp_path / "claim3", "line-4", kind=Kind.CLAIM)
    cloud = replace(unregistered, certificate=house.pki.cloud, key=house.pki.cloud_key)

    for keys in (unregistered, other_claim, same_name, cloud):
        assert await house.ask(keys, "VIN1") is Denied


async def test_a_tenant_that_is_added_is_let_in_without_a_restart(house: House, tmp_path: Path):
    assert isinstance(await house.ask(house.claim, "VIN1"), Granted)
    house.pki.add_tenant("acme", CLOCK.now_ns())
    claim = keys_of(house.pki, tmp_path / "acme", "line-1", kind=Kind.CLAIM, tenant="acme")
    now_ns = CLOCK.now_ns()
    house.registry.claims.create(
        Claim("acme", "line-1", claim.record.sha256, "2f", now_ns, now_ns + DAY_NS), ["VIN2"]
    )

    assert isinstance(await house.ask(claim, "VIN2"), Granted)
    assert house.fleet.members["VIN2"].tenant == "acme"


class Kept:
    """A key that signs and is not given away, and that can be pulled."""

    def __init__(self, path: Path) -> None:
        self._key = file.load(path)
        self.is_there = True

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        if not self.is_there:
            raise Unavailable("the token was pulled")
        return self._key.sign(message)


async def test_a_key_that_is_not_given_away_signs_handshakes_while_it_is_there(house: House):
    key = Kept(house.vehicle.key)
    target = replace(house.target(house.vehicle), key=None, hardware_key="pkcs11:token=t")
    ask = Ask("VIN9", signing_request("VIN9", key))

    assert isinstance(await ask_cloud(target, ask, key), Granted)
    with pytest.raises(BadInput, match="not for the key"):
        await ask_cloud(target, ask, file.fresh())
    key.is_there = False
    with pytest.raises(Unavailable):
        await ask_cloud(target, ask, key)


async def test_whoever_is_refused_too_often_is_not_listened_to(house: House):
    for _ in range(REFUSED_MAX):
        assert await house.ask(house.claim, "VIN7") is Denied
    with pytest.raises(Unavailable, match="refused too often"):
        await ask_cloud(
            house.target(house.claim), Ask("VIN1", signing_request("VIN1", file.fresh()))
        )

    assert isinstance(await house.ask(house.vehicle, "VIN9"), Granted)


async def test_a_message_that_is_longer_than_any_request_is_refused_unread(house: House):
    async with channel(house, house.claim) as to_cloud:
        call: Any = rpc(to_cloud)(b"x" * 1_000_000)
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


GOOD = signing_request("VIN1", file.fresh())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8))
async def test_a_broken_signing_request_is_a_defect_of_the_sender(
    house: House, at: int, noise: bytes
):
    house.enrolment._refusals = Refusals()
    mutant = GOOD[:at] + noise + GOOD[at + len(noise) :]

    if mutant == GOOD:
        return
    async with channel(house, house.claim) as to_cloud:
        call: Any = rpc(to_cloud)(ask_to_bytes(Ask("VIN1", mutant)))
        told = (await call.code(), await call.details())
    assert told[0] is grpc.StatusCode.INVALID_ARGUMENT, told
    assert house.registry.certificates.of_vehicle("VIN1") == []


async def test_garbage_in_place_of_a_request_is_a_defect_of_the_sender(house: House):
    messages = [b"\xff" * 40, b"", v1.EnrolRequest(vehicle="VIN1").SerializeToString()]
    async with channel(house, house.claim) as to_cloud:
        for message in messages:
            call: Any = rpc(to_cloud)(message)
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
