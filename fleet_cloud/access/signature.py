"""AWS Signature Version 4, as AWS's clients sign a request: read, and made again to compare.

    Authorization: AWS4-HMAC-SHA256 Credential=ID/20261129/eu-west-1/SERVICE/aws4_request,
                   SignedHeaders=host;x-amz-date;x-amz-target, Signature=64 hexadecimal digits

Rule 1: the host, the date, the operation and the whole body are signed, or the request is refused: what is not
signed could be anybody's.
Rule 2: a signature is good for DRIFT_NS before and after its date: clocks are minutes wrong, replays are late.
Rule 3: the region is the client's own word, and is only ever part of what is signed.
"""

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fairway.clock import NS_PER_S
from fairway.errors import Denied

ALGORITHM = "AWS4-HMAC-SHA256"
# What AWS allows itself.
DRIFT_NS = 300 * NS_PER_S
# A dozen headers are signed by the most talkative client.
_HEADERS_MAX = 32

_SHOWN = re.compile(
    r"AWS4-HMAC-SHA256 +Credential="
    r"([A-Za-z0-9]{16,128})/(\d{8})/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/aws4_request *,"
    r" *SignedHeaders=([a-z0-9;-]{1,1024}) *, *Signature=([0-9a-f]{64})",
    re.ASCII,
)
_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SIGNED = ("host", "x-amz-date", "x-amz-target")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client says of its signature."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str
    headers: tuple[str, ...]  # which are signed
    signature: str

    @property
    def scope(self) -> str:
        """What the signing key is good for."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]  # names in small letters
    body: bytes

    def header(self, name: str) -> str:
        """Return the one header of that name.  Raises Denied when there is none, or more than one."""
        found = [value for each, value in self.headers if each == name]
        if len(found) != 1:
            raise Denied(f"the signed header {name} is there {len(found)} times")
        return found[0]


def shown_signature(authorization: str) -> Shown:
    """Read an Authorization header.  Raises Denied."""
    found = _SHOWN.fullmatch(authorization.strip())
    if found is None:
        raise Denied(
            f"the header Authorization is no {ALGORITHM} with a credential and a signature"
        )
    key, date, region, service, headers, signature = found.groups()
    names = tuple(headers.split(";"))
    if len(names) > _HEADERS_MAX or list(names) != sorted(set(names)):
        raise Denied("the signed headers are too many, or not in order")
    missing = [name for name in _SIGNED if name not in names]
    if missing:
        raise Denied(f"the header {missing[0]} must be signed")
    return Shown(key, date, region, service, names, signature)


def check_date(shown: Shown, date: str, now_ns: int) -> None:
    """Raise Denied unless `date`, of the header x-amz-date, is that of the credential and of now."""
    if not _DATE.fullmatch(date) or date[:8] != shown.date:
        raise Denied("the date of the signature is none, or not that of its credential")
    try:
        signed_at = dt.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise Denied("the date of the signature is none") from error
    if abs(round(signed_at.timestamp()) * NS_PER_S - now_ns) > DRIFT_NS:
        raise Denied(
            f"the signature is of {date}, more than {DRIFT_NS // NS_PER_S} s away: set the clock, sign anew"
        )


def is_signed_with(secret: str, shown: Shown, request: SignedRequest) -> bool:
    """Whether `request` is what was signed, and with `secret`.  Raises Denied for a missing header."""
    wanted = signature(secret, shown, request)
    return hmac.compare_digest(wanted, shown.signature)


def signature(secret: str, shown: Shown, request: SignedRequest) -> str:
    """Return the signature that whoever holds `secret` makes under a request.  Raises Denied."""
    lines = "".join(f"{name}:{_canonical(request.header(name))}\n" for name in shown.headers)
    digest = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(
        (request.method, request.path, "", lines, ";".join(shown.headers), digest)
    )
    told = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    message = "\n".join((ALGORITHM, request.header("x-amz-date"), shown.scope, told))
    key = f"AWS4{secret}".encode()
    for part in shown.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, message.encode(), "sha256").hex()


def _canonical(value: str) -> str:
    return re.sub(r" +", " ", value.strip())
