"""One metadata file: bytes -> what is signed, and whether enough of the right keys have signed it.

Rule 1: a key counts once, under however many names it stands: what counts is the key, not its id.
Rule 2: only kinds of keys that we know are asked; any other counts as no signature.
Rule 3: whatever bytes come in, what comes of them is metadata or a refusal.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from ota.trust.kept import Moment, refused
from ota.trust.model import Attack, Repository, Wanted
from ota.tuf_library import (
    FormatError,
    Key,
    LengthOrHashMismatchError,
    Metadata,
    MetaFile,
    Root,
    Signature,
    Signed,
    Snapshot,
    SSlibKey,
    Targets,
    Timestamp,
    UnverifiedSignatureError,
    encode_canonical,
)

ROOT_MAX_BYTES = 512_000
TIMESTAMP_MAX_BYTES = 16_384
SNAPSHOT_MAX_BYTES = 2_000_000
TARGETS_MAX_BYTES = 5_000_000
# An operator who needs more keys for one role has more of a problem than this limit.
KEYS_MAX = 64

SCHEMES = frozenset(
    {
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ed25519",
        "rsassa-pss-sha256",
        "rsassa-pss-sha512",
    }
)

# Whatever reading nonsense may raise.
_MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    FormatError,
)

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class File(Generic[S]):
    """A file that has been read and not yet verified."""

    signed: S
    payload: bytes  # what the signatures are over
    signatures: dict[str, Signature]


def read(content: bytes, kind: type[S], where: str) -> File[S]:
    """Return what a file says.  Raises Tampered."""
    try:
        said = json.loads(content, parse_float=_refuse, parse_constant=_refuse)
        payload = _canonical(said["signed"], content)
        metadata = Metadata[S].from_dict(said)  # takes `said` apart: the payload had to come first
    except _MALFORMED as error:
        what = f"this is no {kind.type} metadata: {type(error).__name__}: {_line(error)}"
        raise refused(Attack.MALFORMED, where, what) from error
    if metadata.signed.type != kind.type:
        found = metadata.signed.type
        raise refused(Attack.MALFORMED, where, f"this is {found} metadata and not {kind.type}")
    return File(metadata.signed, payload, metadata.signatures)


class Reader(Protocol):
    """Reads one file."""

    def __call__(self, content: bytes, kind: type[S], where: str) -> File[S]:
        """Return what a file says.  Raises Tampered."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How metadata is spelled: TUF's own, unless a repository is older than that."""

    read: Reader = read
    # TUF 5.4.3.1: of two timestamps with one version the first stays; older Uptane clients took the second.
    keeps_first_of_equal: bool = True


TUF = Dialect()


def verify(file: File[S], delegator: Root | Targets, role: str, where: str) -> S:
    """Return what is signed when enough keys of the role have signed it.  Raises Tampered."""
    try:
        wanted = delegator.get_delegated_role(role)
    except ValueError as error:
        raise refused(
            Attack.ARBITRARY_SOFTWARE, where, f"nobody delegates to the role {role!r:.80}"
        ) from error
    good = set[str]()
    for key_id in wanted.keyids[:KEYS_MAX]:
        signature = file.signatures.get(key_id)
        key = _key(delegator, key_id)
        if signature is not None and key is not None and _holds(key, signature, file.payload):
            good.add(key.keyval["public"])
            if len(good) >= wanted.threshold:
                return file.signed
    raise refused(
        Attack.ARBITRARY_SOFTWARE,
        where,
        f"it has {len(good)} of the {wanted.threshold} signatures that {role!r:.80} needs",
    )


def check_expiry(signed: Signed, moment: Moment, where: str) -> None:
    """Raise Tampered when metadata has expired."""
    now = datetime.fromtimestamp(moment.time_ns // 10**9, UTC)
    if now >= signed.expires:
        raise refused(
            Attack.FREEZE,
            where,
            f"it expired at {signed.expires:%Y-%m-%dT%H:%M:%SZ}; it is {now:%Y-%m-%dT%H:%M:%SZ}",
        )


def check_against(meta: MetaFile, content: bytes, where: str) -> None:
    """Raise Tampered when bytes are not those that the metadata before them tells of."""
    try:
        meta.verify_length_and_hashes(content)
    except LengthOrHashMismatchError as error:
        raise refused(
            Attack.MIX_AND_MATCH, where, "its length or hash is not the one that was signed"
        ) from error


def checked_length(content: bytes | None, wanted: Wanted) -> bytes | None:
    """Return what came when it is not longer than what was asked for.  Raises Tampered."""
    if content is not None and len(content) > wanted.max_bytes:
        raise refused(
            Attack.ENDLESS_DATA,
            place(wanted.repository, wanted.name),
            f"it has {len(content)} bytes; {wanted.max_bytes} at most",
        )
    return content


def place(repository: Repository, name: str) -> str:
    """Return how a refusal names a file."""
    return f"{repository}/{name}"


def _key(delegator: Root | Targets, key_id: str) -> SSlibKey | None:
    try:
        key: Key = delegator.get_key(key_id)
    except ValueError:
        return None
    is_known = isinstance(key, SSlibKey) and key.scheme in SCHEMES
    return key if isinstance(key, SSlibKey) and is_known else None


def _holds(key: SSlibKey, signature: Signature, payload: bytes) -> bool:
    try:
        key.verify_signature(signature, payload)
    except UnverifiedSignatureError:
        return False
    return True


def _canonical(said: object, content: bytes) -> bytes:
    # Without a backslash no text has a character that the two ways of writing spell differently.
    if b"\\" not in content:
        return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return (encode_canonical(said) or "").encode()  # type: ignore[arg-type]


def _refuse(number: str) -> float:
    raise ValueError(f"{number[:40]} is no whole number")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
