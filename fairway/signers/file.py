"""A key in a PEM file (PKCS#8) that only its owner can read."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.crypto import p256
from fairway.errors import BadInput, Conflict, Unavailable


class FileSigner:
    """A key in memory, read from a file."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def pem(self) -> bytes:
        """Return the key itself, for who moves or passes it on."""
        return key_pem(self._key)


def load(path: Path, *, password: bytes | None = None) -> FileSigner:
    """Read the key in `path`.  Raises BadInput, Unavailable, and BadInput when others could read it too."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"cannot read the key {path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise BadInput(
            f"the key {path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 it"
        )
    try:
        key = serialization.load_pem_private_key(content, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path} is not a private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"the key in {path} is no P-256 key")
    p256(key.public_key(), whose=str(path))
    return FileSigner(key)


def fresh() -> FileSigner:
    """Return a new key that lies nowhere yet."""
    return FileSigner(ec.generate_private_key(ec.SECP256R1()))


def make(path: Path, *, password: bytes | None = None) -> FileSigner:
    """Make a key in `path`, whole and synced or not at all.  Raises Conflict when there is one, Unavailable."""
    if path.exists():
        raise Conflict(f"there is a key in {path} already: remove it first if nobody needs it")
    made = fresh()
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key_pem(made._key, password))  # noqa: SLF001 - our own
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise Unavailable(f"cannot write the key {path}: {error.strerror}") from error
    return made


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """Return a key as PKCS#8, encrypted when there is a password."""
    sealing = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
