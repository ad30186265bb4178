"""What is wrong with a certificate before it is installed."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.enrolment.answer import Wanted, check
from fairway.errors import BadInput
from fairway.identity import Kind
from fairway.signers import file
from fleet_cloud.adapters.pki_files import FilePki

S = 1_000_000_000
NOW = 1_780_000_000 * S
DAY = 86_400 * S
KEY = file.fresh()
WANTED = Wanted("VIN1", KEY.public_key(), "eu")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> FilePki:
    made = FilePki(tmp_path_factory.mktemp("pki"), region="eu")
    made.ensure([], NOW)
    return made


def chain(pki: FilePki, *, kind: Kind = Kind.VEHICLE, name: str = "VIN1") -> bytes:
    identity = pki.identity(kind, "default", name)
    return pki.issue(identity, KEY.public_key(), NOW, dt.timedelta(days=90)).certificate_pem


def test_the_right_one_is_taken_and_its_life_is_read(pki: FilePki):
    leaf = check(chain(pki), pki.ca.read_bytes(), WANTED, NOW)

    assert (leaf.identity.name, leaf.identity.scope.region) == ("VIN1", "eu")
    assert (leaf.validity.begins_ns, leaf.validity.ends_ns) == (NOW - DAY, NOW + 90 * DAY)
    anywhere = check(chain(pki), pki.ca.read_bytes(), replace(WANTED, region=""), NOW)
    assert anywhere.identity.scope.region == "eu"


@pytest.mark.parametrize(
    ("wanted", "kind", "name", "days", "why"),
    [
        (replace(WANTED, key=file.fresh().public_key()), Kind.VEHICLE, "VIN1", 0, "another key"),
        (WANTED, Kind.VEHICLE, "VIN2", 0, "for vehicle VIN2"),
        (WANTED, Kind.CLAIM, "VIN1", 0, "for claim VIN1"),
        (replace(WANTED, region="cn"), Kind.VEHICLE, "VIN1", 0, "region eu"),
        (WANTED, Kind.VEHICLE, "VIN1", 90, "expired"),
    ],
)
def test_a_wrong_one_is_refused(
    pki: FilePki, wanted: Wanted, kind: Kind, name: str, days: int, why: str
):
    with pytest.raises(BadInput, match=why):
        check(chain(pki, kind=kind, name=name), pki.ca.read_bytes(), wanted, NOW + days * DAY)


def test_whom_to_trust_is_an_authority(pki: FilePki):
    good = chain(pki)

    for anchors in (b"", b"x", good):
        with pytest.raises(BadInput, match="whom to trust"):
            check(good, anchors, WANTED, NOW)


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_garbage_is_refused_in_one_sentence(pki: FilePki, noise: bytes, at: int):
    good = GOOD.setdefault("chain", chain(pki))
    anchors = pki.ca.read_bytes()
    for content, trust in (
        (noise, anchors),
        (good[:at] + noise + good[at + len(noise) :], anchors),
        (good, noise),
    ):
        try:
            check(content, trust, WANTED, NOW)
        except BadInput as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said


GOOD: dict[str, bytes] = {}
