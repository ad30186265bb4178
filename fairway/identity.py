"""Who somebody is: a region, a tenant in it, a name of some kind there; as certificates and stores spell it.

    urn:fairway:<region>:<tenant>:<kind>:<name>     in a certificate's subjectAltName: who it speaks for
    urn:fairway:certificate:<32 hex digits>         beside it: which of that one's certificates it is

Rule 1: the common name of a certificate is the bare name; brokers that know nothing of URNs tell by that.  A
claim's is `claim:<name>`, which no vehicle can be called: no broker takes a claim for a vehicle.
Rule 2: nothing is stored or asked for without a Scope: a tenant of one region never sees another's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fairway.errors import BadInput
from fairway.ids import vehicle_id

# What a cloud is called that nobody gave a region, and a vehicle that nobody gave a tenant.
DEFAULT_REGION = "local"
DEFAULT_TENANT = "default"

_REGION = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER = re.compile(r"[0-9a-f]{32}")
_PREFIX = "urn:fairway:"
_CERTIFICATE = f"{_PREFIX}certificate:"


def region_name(text: str) -> str:
    """Return `text` when it may name a region, as in `eu` or `cn-north-1`.  Raises BadInput."""
    if not _REGION.fullmatch(text) or text == "certificate":
        raise BadInput(
            f"{text[:80]!r} is not a region: 1 to 32 of a-z 0-9 - beginning with a letter, as in eu"
        )
    return text


def tenant_name(text: str) -> str:
    """Return `text` when it may name a tenant.  Raises BadInput."""
    if not _TENANT.fullmatch(text):
        raise BadInput(
            f"{text[:80]!r} is not a tenant: 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit"
        )
    return text


def certificate_number(text: str) -> str:
    """Return `text` when it numbers a certificate: 32 lower-case hexadecimal digits.  Raises BadInput."""
    if not _NUMBER.fullmatch(text):
        raise BadInput(
            f"{text[:80]!r} is not a certificate's number: 32 lower-case hexadecimal digits"
        )
    return text


def is_ours(uri: str) -> bool:
    """Whether a URI of a subjectAltName is one of Fairway's."""
    return uri.startswith(_PREFIX)


def certificate_urn(number: str) -> str:
    """Return how a certificate of that number calls itself."""
    return f"{_CERTIFICATE}{number}"


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """Whose data is meant: one tenant in one region."""

    region: str
    tenant: str

    def __str__(self) -> str:
        return f"{self.region}/{self.tenant}"


class Kind(StrEnum):
    """What a certificate speaks for."""

    VEHICLE = "vehicle"
    CLAIM = "claim"  # may enrol vehicles of an allow-list, once each, and nothing else
    CLOUD = "cloud"  # a server, or the cloud as a client of its broker


@dataclass(frozen=True, slots=True)
class Identity:
    """What the subjectAltName of a certificate says."""

    scope: Scope
    kind: Kind
    name: str
    number: str  # of the certificate

    @property
    def urn(self) -> str:
        """Who it is."""
        return f"{_PREFIX}{self.scope.region}:{self.scope.tenant}:{self.kind}:{self.name}"

    @property
    def common_name(self) -> str:
        """What the subject of its certificates says."""
        return f"{self.kind}:{self.name}" if self.kind is Kind.CLAIM else self.name

    @property
    def certificate_urn(self) -> str:
        """Which of the certificates of that one it is."""
        return certificate_urn(self.number)


def identity_of(uris: Iterable[str]) -> Identity:
    """Read the URIs of a subjectAltName.  Raises BadInput unless they say one identity and its number."""
    numbers, others = list[str](), list[str]()
    for uri in uris:
        if uri.startswith(_CERTIFICATE):
            numbers.append(uri.removeprefix(_CERTIFICATE))
        elif uri.startswith(_PREFIX):
            others.append(uri.removeprefix(_PREFIX))
    if len(numbers) != 1 or len(others) != 1:
        raise BadInput(
            f"the certificate has {len(others)} identities and {len(numbers)} numbers: it needs one of each"
        )
    parts = others[0].split(":")
    if len(parts) != 4 or parts[2] not in [kind.value for kind in Kind]:
        raise BadInput(f"{_PREFIX + others[0][:120]!r} is no identity of Fairway's")
    region, tenant, kind, name = parts
    return Identity(
        Scope(region_name(region), tenant_name(tenant)),
        Kind(kind),
        vehicle_id(name),
        certificate_number(numbers[0]),
    )
