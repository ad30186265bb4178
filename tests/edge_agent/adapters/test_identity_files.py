"""The identity of a vehicle on disk, and its renewal while the agent runs."""

import datetime as dt
from pathlib import Path

import pytest

from edge_agent.adapters import identity_files
from edge_agent.adapters.disk import replace_file
from edge_agent.adapters.identity_files import (
    IdentityFiles,
    identity_target,
    signing_request,
)
from edge_agent.adapters.renewal import SWITCH_AFTER_S, Renewal
from edge_agent.enrolment.renewal import DENIED_RETRY_S, LOOK_S, RENEWED_WAIT_S
from fairway.clock import ManualClock
from fairway.crypto import Signer
from fairway.enrolment import Ask, Endpoints, Granted, Waiting
from fairway.errors import BadInput, Conflict, Denied, FairwayError, Unavailable
from fairway.identity import Kind
from fairway.signers import file
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.enrolment.requests import signing_request as checked

S = 1_000_000_000
NOW = 1_780_000_000 * S
DAY = 86_400 * S
URLS = Endpoints("mqtts://cloud:8883", "grpcs://cloud:8443", "eu")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> FilePki:
    made = FilePki(tmp_path_factory.mktemp("pki"), region="eu")
    made.ensure([], NOW)
    return made


def granted(pki: FilePki, key: Signer, now_ns: int = NOW, name: str = "VIN1") -> Granted:
    identity = pki.identity(Kind.VEHICLE, "default", name)
    issued = pki.issue(identity, key.public_key(), now_ns, dt.timedelta(days=90))
    return Granted(issued.certificate_pem, pki.ca.read_bytes(), URLS)


def enrolled(pki: FilePki, folder: Path, key: str = "file:key.pem") -> IdentityFiles:
    files = IdentityFiles(folder / "identity")
    files.begin("VIN1", key)
    signer = files.signer("file:key.pem", make=True)
    files.install(granted(pki, signer), signer, NOW)
    return files


def test_everything_is_there_for_its_owner_only(pki: FilePki, tmp_path: Path):
    files = enrolled(pki, tmp_path)

    modes = {path.name: path.stat().st_mode & 0o777 for path in files.folder.iterdir()}
    assert modes == dict.fromkeys(["ca.pem", "certificate.pem", "identity.json", "key.pem"], 0o600)
    assert files.folder.stat().st_mode & 0o777 == 0o700
    assert files.read() == identity_files.Me("VIN1", "file:key.pem", URLS)
    assert files.leaf().identity.name == "VIN1"


def test_the_uplink_goes_where_the_cloud_said_by_what_the_key_can_do(pki: FilePki, tmp_path: Path):
    files = enrolled(pki, tmp_path)
    target = identity_target(files.folder, "", "VIN1")
    assert (str(target), target.key) == (URLS.mqtt_url, files.folder / "key.pem")
    assert str(identity_target(files.folder, "grpcs://other:1", "VIN1")) == "grpcs://other:1"
    with pytest.raises(BadInput, match="that of VIN1"):
        identity_target(files.folder, "", "VIN2")

    hardware = enrolled(pki, tmp_path / "token", "tpm2:handle=0x81000001")
    target = identity_target(hardware.folder, "", "VIN1")
    assert (str(target), target.key) == (URLS.grpc_url, None)
    assert target.hardware_key == "tpm2:handle=0x81000001"


def test_a_folder_belongs_to_one_vehicle_and_one_key(pki: FilePki, tmp_path: Path):
    files = enrolled(pki, tmp_path)

    files.begin("VIN1", "file:key.pem")
    for vehicle, key in (("VIN2", "file:key.pem"), ("VIN1", "file:other.pem")):
        with pytest.raises(Conflict, match="use another folder"):
            files.begin(vehicle, key)
    other = IdentityFiles(tmp_path / "cn")
    other.begin("VIN1", "file:key.pem", "cn")
    signer = other.signer("file:key.pem", make=True)
    with pytest.raises(BadInput, match="region eu, and this vehicle belongs to cn"):
        other.install(granted(pki, signer), signer, NOW)
    assert not other.certificate.exists()


def test_a_key_is_made_once_and_signs_its_request(tmp_path: Path):
    files = IdentityFiles(tmp_path / "identity")
    with pytest.raises(Unavailable):
        files.signer("file:key.pem")
    key = files.signer("file:key.pem", make=True)

    assert files.signer("file:key.pem", make=True).public_key() == key.public_key()
    assert checked(signing_request("VIN1", key), vehicle="VIN1").public_key == key.public_key()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"vehicle": "a/b", "key": "k"}', b"\xff"])
def test_what_enroll_did_not_write_is_refused(tmp_path: Path, content: bytes):
    files = IdentityFiles(tmp_path)
    with pytest.raises(BadInput, match="edge-agent enroll"):
        files.read()
    (tmp_path / "identity.json").write_bytes(content)

    with pytest.raises(BadInput):
        files.read()


@pytest.mark.parametrize("survivors", range(4))
def test_a_power_cut_leaves_an_identity_that_works(
    pki: FilePki, tmp_path: Path, survivors: int, monkeypatch: pytest.MonkeyPatch
):
    files = enrolled(pki, tmp_path)
    key = files.signer("file:key.pem")
    written = 0

    def cut(disk, path, data, *, mode):
        nonlocal written
        if written == survivors:
            raise OSError(5, "power")
        written += 1
        whole(disk, path, data, mode=mode)

    whole = replace_file
    monkeypatch.setattr(identity_files, "replace_file", cut)
    if survivors < 3:
        with pytest.raises(Unavailable, match="power"):
            files.install(granted(pki, key, NOW + DAY), key, NOW + DAY)
    else:
        files.install(granted(pki, key, NOW + DAY), key, NOW + DAY)

    assert files.leaf().key == key.public_key()
    assert identity_target(files.folder, "", "VIN1").certificate == files.certificate
    assert files.leaf().validity.begins_ns == (NOW if survivors == 3 else NOW - DAY)


class Cloud:
    """Answers what it is told to, and remembers."""

    def __init__(self, *answers: Granted | Waiting | FairwayError) -> None:
        self.answers, self.asks, self.slept = list(answers), list[Ask](), list[float]()
        self.renewed = 0

    async def ask(self, ask: Ask, _key: Signer) -> Granted | Waiting:
        self.asks.append(ask)
        answer = self.answers.pop(0)
        if isinstance(answer, FairwayError):
            raise answer
        return answer

    async def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)

    def tell(self) -> None:
        self.renewed += 1

    def renewal(self, files: IdentityFiles, clock: ManualClock) -> Renewal:
        return Renewal(files, self.ask, clock, self.tell, chance=lambda: 0.0, sleep=self.sleep)


async def test_a_certificate_is_renewed_when_it_is_time_and_the_uplink_is_told(
    pki: FilePki, tmp_path: Path
):
    files = enrolled(pki, tmp_path)
    clock = ManualClock(NOW)
    key = files.signer("file:key.pem")
    cloud = Cloud(granted(pki, key, NOW + 70 * DAY))
    renewal = cloud.renewal(files, clock)

    assert await renewal.step() == LOOK_S
    assert renewal.left_s() == 90 * 86_400
    assert cloud.asks == []
    clock.advance(70 * DAY)
    assert await renewal.step() == RENEWED_WAIT_S
    assert (cloud.renewed, cloud.slept) == (1, [SWITCH_AFTER_S])
    assert checked(cloud.asks[0].csr_der, vehicle="VIN1").public_key == key.public_key()
    assert files.leaf().validity.ends_ns == NOW + 160 * DAY
    assert await renewal.step() == LOOK_S


async def test_what_fails_is_tried_again_and_the_old_certificate_stays(
    pki: FilePki, tmp_path: Path
):
    files = enrolled(pki, tmp_path)
    clock = ManualClock(NOW + 70 * DAY)
    wrong = granted(pki, file.fresh(), NOW + 70 * DAY)
    cloud = Cloud(
        Unavailable("away"), Unavailable("away"), Denied("no"), wrong, Waiting(30), Waiting(300)
    )
    renewal = cloud.renewal(files, clock)
    before = files.certificate.read_bytes()

    waits = [await renewal.step() for _ in range(6)]
    assert waits == [60.0, 60.0, DENIED_RETRY_S, DENIED_RETRY_S, LOOK_S, 300.0]
    assert files.certificate.read_bytes() == before
    assert cloud.renewed == 0
