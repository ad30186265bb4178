"""The fleet's certificates."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fleet_cloud.adapters.pki_files import FilePki

DAY = 86_400 * NS_PER_S
NOW = 1_780_000_000 * NS_PER_S


@pytest.fixture
def pki(tmp_path: Path) -> FilePki:
    pki = FilePki(tmp_path / "pki")
    pki.ensure(["cloud.example", "192.0.2.7"], NOW)
    return pki


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def test_the_server_is_known_by_every_name_it_has(pki: FilePki):
    names = load(pki.server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == ["localhost", "cloud.example"]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.7"]


def test_a_vehicle_s_certificate_names_it_and_is_signed_by_the_fleet(pki: FilePki):
    issued = pki.issue("VIN1", NOW)
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem)

    certificate.verify_directly_issued_by(load(pki.ca))
    assert name(certificate) == "CN=VIN1"
    assert issued.expires_time_ns == int(certificate.not_valid_after_utc.timestamp()) * NS_PER_S
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_keys_are_for_their_owner_only(pki: FilePki):
    keys = sorted(pki.ca.parent.glob("*-key.pem"))

    assert [key.name for key in keys] == ["ca-key.pem", "cloud-key.pem", "server-key.pem"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_what_stands_stays_until_it_is_about_to_expire(pki: FilePki):
    before = {path: path.read_bytes() for path in (pki.ca, pki.server, pki.cloud)}

    pki.ensure(["cloud.example", "192.0.2.7"], NOW + 300 * DAY)
    assert {path: path.read_bytes() for path in before} == before

    pki.ensure(["cloud.example", "192.0.2.7"], NOW + 350 * DAY)
    assert pki.ca.read_bytes() == before[pki.ca]
    assert pki.server.read_bytes() != before[pki.server]
    assert pki.cloud.read_bytes() != before[pki.cloud]


def test_a_new_name_makes_a_new_server_certificate_under_the_same_ca(pki: FilePki):
    before, ca = pki.server.read_bytes(), pki.ca.read_bytes()

    pki.ensure(["other.example"], NOW)

    assert pki.server.read_bytes() != before
    assert pki.ca.read_bytes() == ca


def test_a_file_that_is_no_certificate_is_named(pki: FilePki):
    pki.server.write_text("nonsense")

    with pytest.raises(BadInput, match=r"server\.pem is not a certificate"):
        pki.ensure([], NOW)


def test_a_name_that_no_certificate_can_hold_is_named(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot stand in a certificate"):
        FilePki(tmp_path).ensure(["münchen.example"], NOW)


def test_a_certificate_without_its_key_or_its_authority_is_made_anew(pki: FilePki, tmp_path: Path):
    pki.server_key.unlink()
    pki.cloud_key.write_bytes(pki.issue("VIN1", NOW).key_pem)

    pki.ensure(["cloud.example", "192.0.2.7"], NOW)

    for certificate, key in ((pki.server, pki.server_key), (pki.cloud, pki.cloud_key)):
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert loaded.public_key() == load(certificate).public_key()

    other = FilePki(tmp_path / "other")
    other.ensure(["cloud.example", "192.0.2.7"], NOW)
    pki.server.write_bytes(other.server.read_bytes())
    pki.server_key.write_bytes(other.server_key.read_bytes())
    pki.ensure(["cloud.example", "192.0.2.7"], NOW)
    load(pki.server).verify_directly_issued_by(load(pki.ca))
