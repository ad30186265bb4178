"""How a tenant and what it has is called in ARNs, and which ARNs are its own.

    arn:aws:iotfleetwise:<region>:<account>:<kind>/<name>       account: twelve digits

Rule 1: a tenant whose name is twelve digits is that account; any other has a number made of its name, for AWS's
own patterns allow nothing else.
Rule 2: an ARN of another region is one that was brought along from AWS: its name is meant, in the tenant of who
asks.  One of this region must say that tenant's account.
"""

import hashlib
import re
from dataclasses import dataclass

from fleet_cloud.models.documents import Kind
from fleet_cloud.models.refusals import BadField

_ARN = re.compile(
    r"arn:aws[a-z-]{0,16}:iotfleetwise:([a-z0-9-]{1,32}):([A-Za-z0-9._-]{1,64}):([a-z-]{1,32})/([A-Za-z0-9_:-]{1,100})",
    re.ASCII,
)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant as AWS's clients see it."""

    region: str
    tenant: str

    @property
    def number(self) -> str:
        """The twelve digits."""
        if _ACCOUNT.fullmatch(self.tenant):
            return self.tenant
        digest = hashlib.sha256(f"fairway account {self.tenant}".encode()).digest()
        return f"{int.from_bytes(digest[:8]) % 10**12:012d}"

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of something of this tenant's."""
        return f"arn:aws:iotfleetwise:{self.region}:{self.number}:{kind}/{name}"

    def thing_arn(self, vehicle: str) -> str:
        """Return the ARN of a vehicle as a device."""
        return f"arn:aws:iot:{self.region}:{self.number}:thing/{vehicle}"

    def named(self, field: str, arn: str, *kinds: Kind | str) -> tuple[str, str]:
        """Return the kind and the name that an ARN in `field` means.  Raises BadField."""
        found = _ARN.fullmatch(arn)
        if found is None:
            raise BadField(field, f"{arn[:80]!r} is no ARN of {' or '.join(kinds)}")
        region, account, kind, name = found.groups()
        if region == self.region and account not in (self.number, self.tenant):
            raise BadField(field, f"{arn[:200]!r} is of another account than {self.number}")
        if kind not in kinds:
            raise BadField(field, f"{arn[:200]!r} is of a {kind}, not of a {' or '.join(kinds)}")
        return kind, name

    def name(self, field: str, arn: str, kind: Kind) -> str:
        """Return the name that an ARN of that kind in `field` means.  Raises BadField."""
        return self.named(field, arn, kind)[1]
