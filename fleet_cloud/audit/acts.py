"""What the audit log keeps: acts that matter to security, and changes of state by a person, a key or a machine.

    actor    user:<subject>  key:<id>  cli:<login>  vehicle:<id>  claim:<name>  system  anonymous
    action   <noun>.<verb>, as in vehicle.revoke, claim.create, enrolment.approve, key.create, api.deny
    object   <kind>:<name>, as in vehicle:VIN0001, claim:line-4, key:3f9c

Rule 1: an act is written where it is done, and before its effect is told; what cannot be audited is not done.
Rule 2: no secret, token, key or payload is ever part of an act.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

# Acts on the platform itself belong to no tenant; no tenant can have this name.
PLATFORM = "_platform"


def chain_of(tenant: str) -> str:
    """Return whose acts those on `tenant` are: on `*`, all tenants at once, they are the platform's."""
    return PLATFORM if tenant == "*" else tenant


class Outcome(StrEnum):
    """What became of it."""

    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Act:
    """One act."""

    action: str
    actor: str
    object: str
    tenant: str = PLATFORM
    outcome: Outcome = Outcome.DONE
    details: Mapping[str, str] = field(default_factory=dict)


class Audit(Protocol):
    """Keeps acts.  Contract: tests/contracts/test_audit.py."""

    def write(self, act: Act) -> None:
        """Add an act to its tenant's chain, durably.  Raises Unavailable: then do not do it."""
        ...
