"""How many bytes may leave: of each campaign and of the whole vehicle, in all, a day, and a metered day.

    limits: campaign total / day / metered day     vehicle day / metered day
    reserved (durable)  >=  spent  ;  pay() takes from what is reserved, reserve() asks for more

Rule 1: never more than the limit leaves: what is reserved is durable before any of it is spent, and a crash
        counts everything reserved as spent.
Rule 2: bytes are counted as requests leave, each time they do: a resend costs what the first sending did.
Rule 3: a day is a UTC day, and begins once: the highest day ever seen is kept.  A clock that is set forward
        begins its day early, and that day does not begin again when it comes.  A clock that is set back stays
        in the highest day; that one then ends a day of steady time after it was last begun or resumed.
Rule 4: on a metered network both day limits count, else only the whole one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fairway.campaign.model import Budget
from fairway.clock import NS_PER_S

DAY_NS = 86_400 * NS_PER_S
# What is reserved at once: a crash costs no more of the budget, and the disk is written once for so much.
CHUNK_BYTES = 256 * 1024
# Of a small budget a sixteenth, or a crash would eat it.
CHUNKS_IN_BUDGET = 16
VEHICLE = ""


class Span(StrEnum):
    """What a limit is about."""

    TOTAL = "total"
    DAY = "day"
    METERED_DAY = "metered_day"


@dataclass(frozen=True, slots=True)
class Account:
    """One limit's count; whose limit: a sync id, or VEHICLE."""

    owner: str
    span: Span


@dataclass(frozen=True, slots=True)
class Count:
    """What of a limit is gone."""

    spent: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that must outlive a crash."""

    day: int = 0  # since the Unix epoch; the highest ever seen
    reserved: Mapping[Account, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A limit that does not have what was asked for."""

    account: Account
    limit_bytes: int
    spent_bytes: int

    def __str__(self) -> str:
        whose = "the vehicle" if self.account.owner == VEHICLE else "the campaign"
        when = {
            Span.TOTAL: "in all",
            Span.DAY: "a day",
            Span.METERED_DAY: "a day on metered networks",
        }[self.account.span]
        return f"{whose} may send {self.limit_bytes} bytes {when} and has sent {self.spent_bytes}"


def campaign_limits(sync_id: str, budget: Budget) -> dict[Account, int]:
    """Return the limits that a campaign's budget says."""
    said = {
        Span.TOTAL: budget.max_bytes,
        Span.DAY: budget.max_bytes_per_day,
        Span.METERED_DAY: budget.max_metered_bytes_per_day,
    }
    return {Account(sync_id, span): most for span, most in said.items() if most is not None}


class Budgets:
    """All limits and what of them is gone."""

    def __init__(self, limits: Mapping[Account, int], ledger: Ledger) -> None:
        """`limits` of the vehicle; `ledger` is what the last run left."""
        self._vehicle = dict(limits)
        self._limits = dict(limits)
        self._counts = {account: Count(much, much) for account, much in ledger.reserved.items()}
        self._day = ledger.day
        self._day_since_ns = 0  # monotonic

    def set_campaigns(self, limits: Mapping[Account, int], known: Iterable[str]) -> None:
        """Know the limits of the campaigns there are; those of campaigns not `known` are forgotten."""
        self._limits = self._vehicle | dict(limits)
        owners = {VEHICLE, *known}
        self._counts = {
            account: count for account, count in self._counts.items() if account.owner in owners
        }

    def look(self, *, now_ns: int, monotonic_ns: int) -> bool:
        """Take the time; True when a day has begun, and more may be sent than before."""
        day = now_ns // DAY_NS
        if not self._day_since_ns:
            self._day_since_ns = monotonic_ns or 1
        is_stuck = day < self._day and monotonic_ns - self._day_since_ns >= DAY_NS
        if day <= self._day and not is_stuck:
            return False
        self._day = max(day, self._day)
        self._day_since_ns = monotonic_ns or 1
        for account in [one for one in self._counts if one.span is not Span.TOTAL]:
            del self._counts[account]
        return True

    def pay(self, owner: str, size_bytes: int, *, is_metered: bool) -> bool:
        """Take so many bytes from what is reserved; False: nothing was taken."""
        accounts = self._accounts(owner, is_metered=is_metered)
        counts = [(one, self._counts.get(one, Count())) for one in accounts]
        if any(count.spent + size_bytes > count.reserved for _, count in counts):
            return False
        for account, count in counts:
            self._counts[account] = replace(count, spent=count.spent + size_bytes)
        return True

    def exhausted(self, owner: str, size_bytes: int, *, is_metered: bool) -> Exhausted | None:
        """Return the limit that does not have so many bytes more; None: all have."""
        for account in self._accounts(owner, is_metered=is_metered):
            limit, spent = self._limits[account], self._counts.get(account, Count()).spent
            if spent + size_bytes > limit:
                return Exhausted(account, limit, spent)
        return None

    def wanted(self, owner: str, size_bytes: int, *, is_metered: bool) -> dict[Account, int]:
        """Return what is to be reserved so that so many bytes can be paid: first make it durable."""
        wanted = {}
        for account in self._accounts(owner, is_metered=is_metered):
            count, limit = self._counts.get(account, Count()), self._limits[account]
            if count.spent + size_bytes > count.reserved:
                chunk = max(size_bytes, min(CHUNK_BYTES, limit // CHUNKS_IN_BUDGET))
                wanted[account] = min(limit, count.spent + chunk)
        return wanted

    def ledger(self, wanted: Mapping[Account, int] | None = None) -> Ledger:
        """Return what must be durable before what is `wanted` may be spent."""
        reserved = {account: count.reserved for account, count in self._counts.items()}
        return Ledger(self._day, reserved | dict(wanted or {}))

    def reserved(self, wanted: Mapping[Account, int]) -> None:
        """Take that `wanted` is durable."""
        for account, much in wanted.items():
            spent = self._counts.get(account, Count()).spent
            self._counts[account] = Count(spent, max(much, spent))

    def final_ledger(self) -> Ledger:
        """Return what the next run may count on when this one has ended in order."""
        return Ledger(self._day, {account: count.spent for account, count in self._counts.items()})

    def spent(self, owner: str) -> dict[str, tuple[int, int]]:
        """Return for each limit of a campaign (or VEHICLE) what was sent of it, and the limit."""
        return {
            str(account.span): (self._counts.get(account, Count()).spent, limit)
            for account, limit in self._limits.items()
            if account.owner == owner
        }

    def _accounts(self, owner: str, *, is_metered: bool) -> list[Account]:
        """Return the limits that count for a batch of `owner` now."""
        owners = {owner, VEHICLE}
        return [
            account
            for account in self._limits
            if account.owner in owners and (is_metered or account.span is not Span.METERED_DAY)
        ]
