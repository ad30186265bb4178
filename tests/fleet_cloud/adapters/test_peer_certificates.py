"""Reading who a peer is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import SystemClock
from fairway.errors import BadInput, Denied
from fairway.identity import Kind
from fleet_cloud.adapters.peer_certificates import shown, vehicle_shown
from fleet_cloud.adapters.pki_files import FilePki
from tests.certificates import Authority
from tests.issued import keys_of

NOW = SystemClock().now_ns()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> FilePki:
    made = FilePki(tmp_path_factory.mktemp("pki"), region="eu")
    made.ensure([], NOW)
    return made


def test_a_vehicle_is_who_its_certificate_says(pki: FilePki, tmp_path: Path):
    keys = keys_of(pki, tmp_path, "VIN1")

    assert vehicle_shown(keys.certificate.read_bytes()) == ("VIN1", keys.record.sha256)


def test_a_certificate_of_somebody_else_is_a_vehicle_by_its_common_name(tmp_path: Path):
    identity = Authority(tmp_path).vehicle("VIN7")

    assert vehicle_shown(identity.certificate.read_bytes())[0] == "VIN7"


def test_a_vehicle_of_another_region_is_told_so(pki: FilePki, tmp_path: Path):
    certificate = keys_of(pki, tmp_path, "VIN1").certificate.read_bytes()

    assert vehicle_shown(certificate, region="eu")[0] == "VIN1"
    with pytest.raises(Denied, match="is of region eu, and this is us"):
        vehicle_shown(certificate, region="us")


def test_a_claim_and_the_cloud_are_no_vehicles(pki: FilePki, tmp_path: Path):
    claim = keys_of(pki, tmp_path, "factory", kind=Kind.CLAIM)

    for certificate in (claim.certificate, pki.cloud):
        with pytest.raises(Denied, match="not of a vehicle"):
            vehicle_shown(certificate.read_bytes())
    assert shown(claim.certificate.read_bytes())[1].kind is Kind.CLAIM  # type: ignore[union-attr]


@given(st.binary(max_size=2000), st.integers(0, 2000) | st.none())
def test_garbage_is_refused_in_one_sentence(pki: FilePki, noise: bytes, at: int | None):
    content = bytearray(pki.cloud.read_bytes())
    if at is None:
        content = bytearray(noise)
    else:
        content[at : at + len(noise)] = noise

    with pytest.raises((BadInput, Denied)) as refused:
        vehicle_shown(bytes(content))
    assert "\n" not in str(refused.value)
