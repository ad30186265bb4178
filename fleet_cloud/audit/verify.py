"""Holding a log, or an export of one, against its hashes, its signatures and heads that were kept elsewhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.crypto import p256
from fairway.errors import BadInput, Tampered
from fleet_cloud.audit.chain import Entry, Head, checked, key_name, read_line
from fleet_cloud.audit.ports import AuditReader

# The longest line of an export: 20 details of 500 characters, each of them escaped.
LINE_MAX_BYTES = 256 * 1024

# Hexadecimal has two spellings, and heads are signed in one.
_NOT_AS_WRITTEN = dict.fromkeys(map(ord, "ABCDEF "), "?")

Keys = Mapping[str, ec.EllipticCurvePublicKey]


def public_keys(pems: Iterable[bytes]) -> Keys:
    """Return public keys by their names.  Raises BadInput."""
    found = {}
    for pem in pems:
        try:
            key = p256(serialization.load_pem_public_key(pem), whose="the audit log")
        except ValueError as error:
            raise BadInput(
                "that is no public key in PEM, as fleet-cloud audit key prints it"
            ) from error
        found[key_name(key)] = key
    return found


def verify(log: AuditReader, keys: Keys, kept: Sequence[Head] = ()) -> Iterator[Head]:
    """Check every chain of a log, which may be growing, and pass on their heads.

    Raises Tampered at the first thing that is wrong, Unavailable.
    """
    heads = {head.scope.tenant: head for head in log.heads()}
    for tenant in sorted(set(log.tenants()) | set(heads) | {head.scope.tenant for head in kept}):
        if tenant not in heads:
            raise Tampered(f"the chain of {tenant} has no head")
        yield _verified(
            log, heads[tenant], keys, [one for one in kept if one.scope.tenant == tenant]
        )


def _verified(log: AuditReader, head: Head, keys: Keys, kept: Sequence[Head]) -> Head:
    after: Head | None = None
    wanted = {one.number: one.hash for one in kept if one.number}
    while True:
        check_signature(head, keys)
        upto = head.number
        entries = takewhile(
            lambda entry: entry.number <= upto,  # noqa: B023 - used up before it changes
            log.chain(head.scope.tenant, after.number if after else 0),
        )
        for entry in checked(entries, head, after):
            if wanted.pop(entry.number, entry.hash) != entry.hash:
                raise Tampered(
                    f"entry {entry.number} of {head.scope} is not the one of the head that was kept"
                )
        has_more = next(log.chain(head.scope.tenant, head.number), None) is not None
        newest = next((one for one in log.heads() if one.scope == head.scope), head)
        if newest == head:
            if has_more:
                raise Tampered(
                    f"behind the head of {head.scope}, number {head.number}, stand further entries"
                )
            break
        after, head = head, newest  # it grew meanwhile
    if wanted:
        raise Tampered(
            f"the chain of {head.scope} ends at {head.number}, but a head with {max(wanted)} entries was kept"
        )
    return head


def verify_export(lines: Iterable[bytes], keys: Keys) -> Iterator[Head]:
    """Check an export line by line, and pass on the head of every chain in it.

    Raises Tampered at the first thing that is wrong, BadInput for what is no export.
    """
    chain: list[Entry] = []
    last: Head | None = None
    for line in lines:
        if len(line) > LINE_MAX_BYTES:
            raise BadInput(f"a line of more than {LINE_MAX_BYTES} bytes is none of an audit export")
        match read_line(line):
            case Entry() as entry:
                chain.append(entry)
            case Head() as head:
                check_signature(head, keys)
                for _ in checked(chain, head):
                    pass
                chain, last = [], head
                yield head
    if chain:
        raise Tampered(
            f"the chain of {chain[0].scope} has no head: the end of the export was cut off"
        )
    if last is None:
        raise BadInput("there is nothing in this export, not even a head")


def check_signature(head: Head, keys: Keys) -> None:
    """Raise Tampered unless one of `keys` signed `head`."""
    key = keys.get(head.key)
    if key is None:
        raise Tampered(
            f"the head of {head.scope} is signed with the key {head.key[:16]}..., which is none of those given"
        )
    try:
        signature = bytes.fromhex(head.signature.translate(_NOT_AS_WRITTEN))
        key.verify(signature, head.signed_part, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Tampered(
            f"the signature of the head of {head.scope} is wrong: the head was changed"
        ) from error
