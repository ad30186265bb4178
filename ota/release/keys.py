"""Keys of roles: whose they are stands in the metadata itself, signed; the private half stays where it lies.

    a name (file, pkcs11:, tpm2:, awskms:) --opened()--> TufSigner, as python-tuf signs with
    a public half + holder + label --tuf_key()--> what stands in root or in a delegation

Rule 1: signatures are ECDSA on P-256 with SHA-256, DER: the one kind that every place of keys here can make.
Rule 2: a holder is a kind of hand: what a machine of CI holds never meets a threshold alone (roles.py).
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from fairway import crypto
from fairway.errors import BadInput
from fairway.signers.opening import is_file, make_signer, open_signer

HOLDER_FIELD = "x-fairway-holder"
LABEL_FIELD = "x-fairway-label"
LABEL_MAX_CHARS = 64
# A key that is elsewhere: only its public half is known here.
PUBLIC = "public:"


class Holder(StrEnum):
    """Whose hand holds a key."""

    CI = "ci"  # a pipeline: whoever can push code can use it
    PERSON = "person"  # a human, at a token or with a passphrase
    ONLINE = "online"  # a server, for what is short-lived


class TufSigner(Signer):
    """A key of ours as securesystemslib signs with it."""

    def __init__(self, signer: crypto.Signer) -> None:
        self._signer = signer
        self._key = SSlibKey.from_crypto(signer.public_key())

    @property
    def public_key(self) -> SSlibKey:
        return self._key

    @property
    def keyid(self) -> str:
        """Return what metadata calls the key."""
        return self._key.keyid

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "TufSigner":
        """Open a key by its name.  Raises BadInput when it is another than `public_key`, Unavailable."""
        found = cls(open_signer(priv_key_uri))
        if found.keyid != public_key.keyid or secrets_handler is not None:
            raise BadInput(f"{priv_key_uri} is another key than {public_key.keyid}")
        return found

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.keyid, self._signer.sign(payload).hex())


def opened(name: str) -> TufSigner:
    """Return the key called `name`, ready to sign.  Raises BadInput, Unavailable."""
    if name.startswith(PUBLIC):
        raise BadInput(f"{name} is a public half: name the key itself to sign with it")
    return TufSigner(open_signer(name))


def made(name: str) -> TufSigner:
    """Make the key called `name`.  Raises Conflict when there is one, BadInput, Unavailable."""
    if is_file(name):
        Path(name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return TufSigner(make_signer(name))


def public_half(name: str) -> ec.EllipticCurvePublicKey:
    """Return the public half of a key, or what lies in FILE of `public:FILE`.  Raises BadInput, Unavailable."""
    if not name.startswith(PUBLIC):
        return open_signer(name).public_key()
    path = Path(name.removeprefix(PUBLIC))
    try:
        loaded = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path} is no public key in PEM: {error}") from error
    return crypto.p256(loaded, whose=str(path))


def tuf_key(public: ec.EllipticCurvePublicKey, holder: Holder, label: str) -> SSlibKey:
    """Return a key as it stands in metadata, with whose it is.  Raises BadInput."""
    if not 0 < len(label) <= LABEL_MAX_CHARS or not label.isprintable() or "," in label:
        raise BadInput(
            f"{label!r:.80} is no label of a key: give 1 to {LABEL_MAX_CHARS} printable characters, no comma"
        )
    key = SSlibKey.from_crypto(public)
    key.unrecognized_fields |= {HOLDER_FIELD: holder.value, LABEL_FIELD: label}
    return key


def holder_of(key: Key) -> Holder | None:
    """Return whose hand holds a key, None when its metadata does not say."""
    said = key.unrecognized_fields.get(HOLDER_FIELD)
    return Holder(said) if said in set(Holder) else None


def label_of(key: Key) -> str:
    """Return what people call a key; without a label, the beginning of its id."""
    return str(key.unrecognized_fields.get(LABEL_FIELD) or key.keyid[:12])


def found(keys: Mapping[str, Key], wanted: str) -> Key:
    """Return the key of that label, or whose id begins so.  Raises BadInput."""
    hits = [one for one in keys.values() if label_of(one) == wanted or _begins(one, wanted)]
    if len(hits) != 1:
        labels = ", ".join(sorted(label_of(one) for one in keys.values())) or "none"
        raise BadInput(
            f"{wanted!r:.80} names {len(hits)} keys: give a label or the beginning of an id ({labels})"
        )
    return hits[0]


def _begins(key: Key, wanted: str) -> bool:
    return len(wanted) >= 8 and str(key.keyid).startswith(wanted)
