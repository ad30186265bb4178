"""What every key promises: in a file, a real SoftHSM2 token, a simulated TPM, a fake KMS."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.crypto import Signer, SignerKey
from fairway.errors import BadInput, Conflict, FairwayError, Unavailable
from fairway.signers.opening import make_signer, open_signer
from tests.fake_kms import kms_server
from tests.hardware_keys import softhsm, swtpm

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@dataclass(frozen=True)
class Place:
    """Names of keys in one kind of place."""

    name: str  # of a key that can be made
    missing: str  # of one that is not there
    garbled: str  # of one that cannot be


@pytest.fixture(params=["file", "pkcs11", "tpm2", "awskms"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    match request.param:
        case "file":
            yield Place(str(tmp_path / "key.pem"), str(tmp_path / "none.pem"), str(tmp_path))
        case "pkcs11":
            with softhsm(tmp_path) as token:
                yield Place(token("key"), token("none"), "pkcs11:token=fairway;colour=red")
        case "tpm2":
            with swtpm(tmp_path) as tpm:
                yield Place(tpm(0x81000001), tpm(0x81000009), tpm(0x1))
        case _:
            with kms_server() as kms:
                yield Place(kms("alias/fairway"), kms("alias/none"), "awskms:key=a?colour=red")


def verifies(signer: Signer, message: bytes, signature: bytes) -> bool:
    try:
        signer.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def test_a_made_key_signs_and_is_the_same_when_opened_again(place: Place):
    made = make_signer(place.name)
    opened = open_signer(place.name)

    for message in (b"", b"short", bytes(10_000)):
        assert verifies(made, message, opened.sign(message))
        assert not verifies(made, message + b"!", opened.sign(message))
    assert opened.public_key().public_numbers() == made.public_key().public_numbers()


def test_a_key_is_not_made_twice(place: Place):
    make_signer(place.name)

    with pytest.raises(Conflict):
        make_signer(place.name)


def test_a_missing_key_may_come_later(place: Place):
    with pytest.raises(Unavailable):
        open_signer(place.missing)


def test_a_name_that_cannot_be_is_one_sentence(place: Place):
    with pytest.raises(FairwayError) as refused:
        open_signer(place.garbled)

    assert "\n" not in str(refused.value)


def test_the_builders_of_cryptography_sign_with_it(place: Place):
    signer = make_signer(place.name)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(SignerKey(signer), hashes.SHA256())

    assert request.is_signature_valid
    assert request.public_key() == signer.public_key()


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path):
    make_signer(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)

    with pytest.raises(BadInput, match="chmod 600"):
        open_signer(tmp_path / "key.pem")
