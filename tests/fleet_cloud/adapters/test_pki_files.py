"""The fleet's certificates."""

import datetime as dt
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import Kind, Scope, identity_of
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.certificates import CertificateState
from tests.certificates import Authority
from tests.issued import keys_of

DAY = 86_400 * NS_PER_S
DAY_LONG = dt.timedelta(days=1)
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


def test_a_vehicle_s_certificate_names_it_and_is_signed_by_its_tenant_s_authority(
    pki: FilePki, tmp_path: Path
):
    keys = keys_of(pki, tmp_path, "VIN1", now_ns=NOW)
    certificate, authority = x509.load_pem_x509_certificates(keys.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identity = identity_of(names.get_values_for_type(x509.UniformResourceIdentifier))

    certificate.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(load(pki.authorities.root))
    assert name(certificate) == "CN=VIN1"
    assert (identity.scope, identity.kind) == (Scope("local", "default"), Kind.VEHICLE)
    assert identity.number == keys.record.number
    ends_ns = int(certificate.not_valid_after_utc.timestamp()) * NS_PER_S
    assert keys.record.expires_time_ns == ends_ns
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_doors_trust_the_authorities_of_their_region_each_signed_by_itself(pki: FilePki):
    anchors = x509.load_pem_x509_certificates(pki.anchors.read_bytes())

    assert [name(anchor) for anchor in anchors] == [
        "CN=Fairway services local",
        "CN=Fairway default local",
    ]
    for anchor in anchors:
        anchor.verify_directly_issued_by(anchor)
    assert load(pki.ca) == anchors[0]


def test_keys_are_for_their_owner_only(pki: FilePki):
    keys = sorted(pki.ca.parent.rglob("*key.pem"))

    assert [key.name for key in keys] == [
        "cloud-key.pem",
        "fleetwise-key.pem",
        "keeper-key.pem",
        "root-key.pem",
        "server-key.pem",
        "key.pem",
        "key.pem",
    ]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_root_whose_key_was_taken_away_signs_no_further_tenant(tmp_path: Path):
    pki = FilePki(tmp_path / "pki", region="eu")
    pki.init(tmp_path / "safe", NOW, password=b"a long sentence")
    pki.ensure([], NOW)

    assert not pki.authorities.root_key_is_here
    with pytest.raises(Unavailable, match="say --root DIR"):
        pki.add_tenant("acme", NOW)
    with pytest.raises(BadInput, match="is not a private key"):
        pki.add_tenant("acme", NOW, tmp_path / "safe", password=b"a wrong one")
    pki.add_tenant("acme", NOW, tmp_path / "safe", password=b"a long sentence")
    assert pki.authorities.tenants() == ["acme", "default"]
    with pytest.raises(Conflict, match="has authorities already"):
        pki.init(tmp_path / "other", NOW)


def test_a_tenant_without_an_authority_gets_no_certificates(pki: FilePki, tmp_path: Path):
    with pytest.raises(BadInput, match="fleet-cloud pki authority --tenant acme"):
        keys_of(pki, tmp_path, "VIN1", tenant="acme")


def test_a_list_is_dated_later_than_the_one_before_and_names_whom_it_means(
    pki: FilePki, tmp_path: Path
):
    good, bad = (
        keys_of(pki, tmp_path, "VIN1", now_ns=NOW),
        keys_of(pki, tmp_path, "VIN2", now_ns=NOW),
    )
    before = x509.load_pem_x509_crl(pki.crl.read_bytes()).last_update_utc

    revoked = replace(bad.record, state=CertificateState.REVOKED, ended_time_ns=NOW)
    pki.write_revocations([good.record, revoked], NOW - 9 * DAY)  # the clock went back

    blocks = pki.crl.read_text().split("-----END X509 CRL-----\n")[:-1]
    lists = [x509.load_pem_x509_crl((b + "-----END X509 CRL-----\n").encode()) for b in blocks]
    assert all(one.last_update_utc > before for one in lists)
    assert [[f"{entry.serial_number:x}" for entry in one] for one in lists] == [
        [],
        [bad.record.serial],
    ]


def test_a_list_names_what_was_superseded_long_ago_and_nothing_that_has_expired(
    pki: FilePki, tmp_path: Path
):
    fresh, old, gone = (
        replace(
            keys_of(pki, tmp_path, "VIN1", now_ns=NOW, life=life).record,
            state=CertificateState.SUPERSEDED,
            ended_time_ns=NOW + ended_days * DAY,
        )
        for ended_days, life in ((4, 90 * DAY_LONG), (0, 90 * DAY_LONG), (0, 2 * DAY_LONG))
    )

    pki.write_revocations([fresh, old, gone], NOW + 4 * DAY)

    assert _listed(pki) == {old.serial}


def test_a_list_is_believed_at_once_however_often_it_was_written(pki: FilePki, tmp_path: Path):
    keys = [keys_of(pki, tmp_path, "VIN1", now_ns=NOW) for _ in range(5)]
    for count in range(5):
        revoked = [replace(one.record, state=CertificateState.REVOKED) for one in keys[: count + 1]]
        pki.write_revocations(revoked, NOW)
        written = pki.crl.read_bytes()
        pki.write_revocations(revoked, NOW)
        assert pki.crl.read_bytes() == written  # nothing new: brokers keep all that they ever read
    dates = x509.load_pem_x509_crl(pki.crl.read_bytes())

    assert dates.last_update_utc.timestamp() * NS_PER_S <= NOW
    assert len(_listed(pki)) == 5


def test_a_list_that_another_process_wrote_is_written_again(pki: FilePki, tmp_path: Path):
    revoked = replace(keys_of(pki, tmp_path, "VIN1").record, state=CertificateState.REVOKED)
    pki.write_revocations([revoked], NOW)

    FilePki(pki.ca.parent).write_revocations([], NOW, renews=True)  # it read the registry earlier
    pki.write_revocations([revoked], NOW)

    assert _listed(pki) == {revoked.serial}


def _listed(pki: FilePki) -> set[str]:
    end = "-----END X509 CRL-----\n"
    lists = [
        x509.load_pem_x509_crl((block + end).encode())
        for block in pki.crl.read_text().split(end)[:-1]
    ]
    return {f"{entry.serial_number:x}" for one in lists for entry in one}


def test_a_folder_of_the_first_version_goes_on(tmp_path: Path):
    old = Authority(tmp_path / "made")
    folder = tmp_path / "pki"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(old.ca.read_bytes())
    key = old._key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca-key.pem").write_bytes(key)
    (folder / "ca-key.pem").chmod(0o600)
    pki = FilePki(folder)
    pki.ensure([], NOW)

    keys = keys_of(pki, tmp_path, "VIN1", now_ns=NOW)
    load(keys.certificate).verify_directly_issued_by(load(pki.ca))
    load(pki.server).verify_directly_issued_by(load(pki.ca))
    assert pki.anchors.read_bytes() == pki.ca.read_bytes() == old.ca.read_bytes()


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
    pki.cloud_key.write_bytes(keys_of(pki, tmp_path, "VIN1", now_ns=NOW).key.read_bytes())

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
