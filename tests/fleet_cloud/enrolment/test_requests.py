"""Signing requests: what is taken from them, and what is refused, with mutations of a good one."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fairway.enrolment import CSR_MAX_BYTES
from fairway.errors import BadInput
from fleet_cloud.enrolment.requests import key_hash, request_from_pem, signing_request

KEY = ec.generate_private_key(ec.SECP256R1())


def request(
    key: CertificateIssuerPrivateKeyTypes = KEY,
    *,
    name: str | None = "VIN1",
    uris: tuple[str, ...] = (),
    algorithm: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008
    encoding: serialization.Encoding = serialization.Encoding.DER,
) -> bytes:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if uris:
        alternative = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return builder.sign(key, algorithm).public_bytes(encoding)  # type: ignore[arg-type]


GOOD = request(uris=("urn:fairway:eu:acme:vehicle:VIN1", "https://elsewhere"))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_only_the_key_is_taken(curve: ec.EllipticCurve):
    key = ec.generate_private_key(curve)

    found = signing_request(request(key), vehicle="VIN1")
    assert found.public_key == key.public_key()
    assert found.key_sha256 == key_hash(key.public_key())
    assert signing_request(request(key, name=None), vehicle="VIN1") == found


def test_pem_is_read_as_der():
    pem = request(encoding=serialization.Encoding.PEM)

    assert signing_request(request_from_pem(pem), vehicle="VIN1").public_key == KEY.public_key()
    assert request_from_pem(GOOD) == GOOD
    with pytest.raises(BadInput, match="cannot be read"):
        request_from_pem(pem[:80])


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (b"", "0 bytes"),
        (b"x" * (CSR_MAX_BYTES + 1), "16385 bytes"),
        (request(name="VIN2"), "names 'VIN2'"),
        (request(uris=("urn:fairway:eu:acme:vehicle:VIN2",)), "vehicle:VIN2"),
        (request(uris=("urn:fairway:eu:acme:cloud:VIN1",)), "cloud:VIN1"),
        (request(rsa.generate_private_key(65537, 2048)), "neither on P-256"),
        (request(ed25519.Ed25519PrivateKey.generate(), algorithm=None), "neither on P-256"),
        (request(ec.generate_private_key(ec.SECP521R1())), "neither on P-256"),
        (request(algorithm=hashes.SHA224()), "neither SHA-256"),
    ],
)
def test_what_cannot_be_certified_is_refused(der: bytes, why: str):
    with pytest.raises(BadInput, match=why):
        signing_request(der, vehicle="VIN1")


def test_a_request_for_a_key_that_the_sender_does_not_hold_is_refused():
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = serialization.PublicFormat.UncompressedPoint
    mine, theirs = (
        key.public_bytes(serialization.Encoding.X962, point) for key in (KEY.public_key(), other)
    )

    with pytest.raises(BadInput, match="does not hold"):
        signing_request(request().replace(mine, theirs), vehicle="VIN1")


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=12), st.integers(0, 12))
def test_a_mutated_request_is_the_same_or_refused_in_one_sentence(at: int, noise: bytes, cut: int):
    mutant = GOOD[:at] + noise + GOOD[at + cut :]

    if mutant == GOOD:
        assert signing_request(mutant, vehicle="VIN1").public_key == KEY.public_key()
        return
    with pytest.raises(BadInput) as refused:
        signing_request(mutant, vehicle="VIN1")
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=400))
def test_garbage_is_refused_in_one_sentence(noise: bytes):
    with pytest.raises(BadInput) as refused:
        signing_request(request_from_pem(noise), vehicle="VIN1")
    assert "\n" not in str(refused.value)
