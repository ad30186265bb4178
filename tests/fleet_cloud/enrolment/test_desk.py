"""The desk: one use of a claim, whatever dies in between, and everything written down."""

import itertools
import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.adapters.identity_files import signing_request
from fairway.enrolment import Ask, Endpoints, Granted, Waiting
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.signers import file
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.pki_issuer import PkiIssuer
from fleet_cloud.audit.acts import Act, Outcome
from fleet_cloud.enrolment.desk import Desk, Peer, Place, TooSoon, approve, reject
from fleet_cloud.enrolment.model import Claim, Enrolment, EnrolmentState
from fleet_cloud.vehicles.certificates import Certificate

S = 1_000_000_000
NOW = 1_780_000_000 * S
CLAIM = Peer("default", claim="line-4", sha256="ab" * 32)
HERE = Place(b"anchors", Endpoints("mqtts://c:1", "grpcs://c:2", "eu"))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> FilePki:
    made = FilePki(tmp_path_factory.mktemp("pki"), region="eu")
    made.ensure([], NOW)
    return made


class House:
    """A desk over a registry in memory, and an issuer that can be made to fail."""

    def __init__(self, pki: FilePki) -> None:
        self.registry = memory_registry()
        self.audit = MemoryAudit()
        self._issuer = PkiIssuer(pki, 90)
        self.meanwhile: list[Callable[[], object]] = []  # what happens while it signs
        numbers = itertools.count(1)
        self.desk = Desk(
            enrolments=self.registry.enrolments,
            vehicles=self.registry.vehicles,
            certificates=self.registry.certificates,
            issuer=self._issued,
            audit=self.audit,
            new_id=lambda: f"{next(numbers):032x}",
            place=lambda: HERE,
        )
        claim = Claim("default", "line-4", "ab" * 32, "1f", NOW, NOW + 90 * 86_400 * S)
        self.registry.claims.create(claim, ["VIN1", "VIN2"])

    def _issued(
        self, tenant: str, vehicle: str, key: ec.EllipticCurvePublicKey, now_ns: int
    ) -> tuple[bytes, Certificate]:
        if self.meanwhile:
            self.meanwhile.pop()()
        return self._issuer(tenant, vehicle, key, now_ns)

    def states(self, vehicle: str = "VIN1") -> list[str]:
        """Return what became of a vehicle's certificates, the newest first."""
        return [one.state.value for one in self.registry.certificates.of_vehicle(vehicle)]

    def acts(self) -> list[tuple[str, str, str]]:
        """Return what was written down."""
        return [(act.action, act.actor, act.outcome.value) for act in self.audit.acts]

    def decide(self, how: str, name: str, now_ns: int = NOW) -> Enrolment:
        """Have a person decide."""
        kept, audit = self.registry.enrolments, self.audit
        if how == "reject":
            return reject(kept, audit, name=name, actor="cli:ann", now_ns=now_ns)
        certificates = self.registry.certificates
        return approve(kept, certificates, audit, name=name, actor="cli:ann", now_ns=now_ns)[0]


@pytest.fixture
def house(pki: FilePki) -> House:
    return House(pki)


def ask(vehicle: str = "VIN1", key: file.FileSigner | None = None) -> Ask:
    return Ask(vehicle, signing_request(vehicle, key or file.fresh()), "HU-7", "1.0")


def test_a_vehicle_is_certified_registered_and_written_down(house: House):
    given = house.desk.enrol(CLAIM, ask(), NOW)

    assert isinstance(given.answer, Granted)
    assert (given.answer.anchors_pem, given.answer.endpoints) == (b"anchors", HERE.endpoints)
    (kept,) = house.registry.certificates.of_vehicle("VIN1")
    vehicle = house.registry.vehicles.vehicle("VIN1")
    assert vehicle is not None
    assert vehicle.may_connect
    assert vehicle.certificate_sha256 == kept.sha256 == given.sha256
    assert house.acts() == [("enrolment.issue", "claim:line-4", "done")]


def test_of_many_head_units_with_one_claim_one_wins_and_the_others_are_written_down(house: House):
    asks = [ask() for _ in range(6)]
    start = threading.Barrier(len(asks))
    ends: list[object] = []

    def race(one: Ask) -> None:
        start.wait()
        try:
            ends.append(house.desk.enrol(CLAIM, one, NOW).answer)
        except Denied as error:
            ends.append(str(error))

    threads = [threading.Thread(target=race, args=(one,)) for one in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(isinstance(end, Granted) for end in ends) == 1
    assert sum("used for this vehicle" in end for end in ends if isinstance(end, str)) == 5
    assert house.states() == ["active"]
    assert house.acts().count(("claim.reuse", "claim:line-4", "denied")) == 5


def test_an_answer_that_was_lost_is_given_again_and_not_written_down_twice(house: House):
    key = file.fresh()
    first = house.desk.enrol(CLAIM, ask(key=key), NOW)
    again = house.desk.enrol(CLAIM, ask(key=key), NOW + 60 * S)

    assert (again.answer, again.sha256) == (first.answer, "")
    assert len(house.audit.acts) == 1
    with pytest.raises(Denied, match="too long ago"):
        house.desk.enrol(CLAIM, ask(key=key), NOW + 600 * S)


def test_a_cloud_that_dies_before_it_signs_owes_the_certificate_to_that_key_alone(house: House):
    key = file.fresh()

    def pulled() -> None:
        raise Unavailable("the token was pulled")

    house.meanwhile.append(pulled)
    with pytest.raises(Unavailable, match="pulled"):
        house.desk.enrol(CLAIM, ask(key=key), NOW)
    with pytest.raises(Denied, match="used for this vehicle"):
        house.desk.enrol(CLAIM, ask(), NOW)
    given = house.desk.enrol(CLAIM, ask(key=key), NOW + S)

    assert isinstance(given.answer, Granted)
    assert house.states() == ["active"]


def test_what_cannot_be_written_down_is_not_done(house: House, monkeypatch: pytest.MonkeyPatch):
    def full(_act: Act) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(house.audit, "write", full)
    with pytest.raises(Unavailable):
        house.desk.enrol(CLAIM, ask(), NOW)

    assert house.states() == []


def test_of_two_claims_for_one_new_vehicle_one_gets_it_and_the_other_waits(house: House):
    other = Claim("default", "line-5", "cd" * 32, "2f", NOW, NOW + 86_400 * S)
    house.registry.claims.create(other, ["VIN1"])
    second = Peer("default", claim="line-5", sha256="cd" * 32)
    answers: list[object] = []
    house.meanwhile.append(lambda: answers.append(house.desk.enrol(second, ask(), NOW + 1).answer))
    answers.append(house.desk.enrol(CLAIM, ask(), NOW).answer)

    assert [type(answer) for answer in answers] == [Granted, Waiting]
    assert house.states() == ["active"]
    assert [act.action for act in house.audit.acts] == ["enrolment.issue", "enrolment.request"]


def test_the_same_key_twice_at_once_is_no_replacement(house: House):
    key = file.fresh()
    house.meanwhile.append(lambda: house.desk.enrol(CLAIM, ask(key=key), NOW + 1))

    assert isinstance(house.desk.enrol(CLAIM, ask(key=key), NOW).answer, Granted)
    assert house.registry.enrolments.enrolments(EnrolmentState.PENDING) == []


def test_a_replacement_waits_and_shuts_the_old_one_out_when_it_is_approved(house: House):
    house.desk.enrol(CLAIM, ask(), NOW)
    house.registry.claims.allow("default", "line-4", ["VIN1"])
    key = file.fresh()

    for _ in range(2):
        assert isinstance(house.desk.enrol(CLAIM, ask(key=key), NOW + S).answer, Waiting)
    assert house.states() == ["active"]
    waiting = house.registry.enrolments.enrolments(EnrolmentState.PENDING)[0]
    assert (waiting.hardware_serial, waiting.agent_version) == ("HU-7", "1.0")
    house.decide("approve", waiting.id, NOW + 2 * S)
    assert house.states() == ["revoked"]
    given = house.desk.enrol(CLAIM, ask(key=key), NOW + 3 * S)
    assert isinstance(given.answer, Granted)
    assert house.states() == ["active", "revoked"]
    assert ("enrolment.approve", "cli:ann", "done") in house.acts()


def test_a_removed_vehicle_comes_back_with_a_persons_word_only(house: House):
    house.desk.enrol(CLAIM, ask(), NOW)
    house.registry.vehicles.remove("VIN1")
    house.registry.claims.allow("default", "line-4", ["VIN1"])
    key = file.fresh()
    assert isinstance(house.desk.enrol(CLAIM, ask(key=key), NOW).answer, Waiting)
    house.decide("approve", "VIN1")
    house.desk.enrol(CLAIM, ask(key=key), NOW)

    vehicle = house.registry.vehicles.vehicle("VIN1")
    assert vehicle is not None
    assert vehicle.may_connect


def test_a_rejected_one_stays_out(house: House):
    house.desk.enrol(CLAIM, ask(), NOW)
    house.registry.claims.allow("default", "line-4", ["VIN1"])
    key = file.fresh()
    house.desk.enrol(CLAIM, ask(key=key), NOW)
    house.decide("reject", "VIN1")

    with pytest.raises(Denied, match="rejected"):
        house.desk.enrol(CLAIM, ask(key=key), NOW)
    assert house.states() == ["active"]
    for how in ("approve", "reject"):
        with pytest.raises(Conflict, match="no enrolment"):
            house.decide(how, "VIN1")


def test_of_two_that_wait_a_person_has_to_say_which(house: House):
    house.desk.enrol(CLAIM, ask(), NOW)
    for _ in range(2):
        house.registry.claims.allow("default", "line-4", ["VIN1"])
        house.desk.enrol(CLAIM, ask(), NOW)

    with pytest.raises(Conflict, match="2 enrolments that wait"):
        house.decide("approve", "VIN1")


def test_a_vehicle_renews_for_itself_with_the_same_key_and_not_all_the_time(
    house: House,
):
    key = file.fresh()
    house.desk.enrol(CLAIM, ask(key=key), NOW)
    me = Peer("default", vehicle="VIN1", sha256="cd" * 32)
    renewed = house.desk.enrol(me, ask(key=key), NOW + S)

    assert house.states() == ["active", "superseded"]
    assert house.desk.enrol(me, ask(key=key), NOW + 2 * S).answer == renewed.answer
    with pytest.raises(TooSoon):
        house.desk.enrol(me, ask(), NOW + 3 * S)
    with pytest.raises(Denied, match="its own certificate"):
        house.desk.enrol(me, ask("VIN2"), NOW)
    assert house.audit.acts[-1] == Act(
        "enrolment.deny",
        "vehicle:VIN1",
        "vehicle:VIN2",
        "default",
        Outcome.DENIED,
        {"reason": "another vehicle's certificate"},
    )


@pytest.mark.parametrize("vehicle", ["fairway-cloud", "Fairway-Cloud-2"])
def test_nobody_enrols_as_the_cloud(house: House, vehicle: str):
    with pytest.raises(BadInput, match="reserved"):
        house.desk.enrol(CLAIM, ask(vehicle), NOW)
