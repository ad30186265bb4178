"""Pays for what leaves, from budgets that outlive a crash.

Rule 1: what is reserved is on the disk before it may be paid; a disk that takes nothing reserves nothing.
Rule 2: whoever cannot pay is told why, once, until it can again.
"""

import asyncio
import json
from collections.abc import Callable

from edge_agent.telemetry.budgets import VEHICLE, Account, Budgets, Ledger, Span
from edge_agent.telemetry.campaign_counts import CampaignCounts
from edge_agent.telemetry.kept import Kept
from fairway import log
from fairway.clock import Clock
from fairway.errors import Unavailable

EVENTS = log.get("edge_agent.campaigns")

LEDGER = "ledger"


class BudgetPurse:
    """The purse of an agent with budgets."""

    def __init__(
        self,
        budgets: Budgets,
        kept: Kept,
        clock: Clock,
        *,
        is_metered: Callable[[], bool],
        campaign_of: Callable[[str], str],
    ) -> None:
        """`campaign_of` returns whose stream it is; "" for what is of no campaign."""
        self.budgets, self._kept, self._clock = budgets, kept, clock
        self._is_metered, self._campaign_of = is_metered, campaign_of
        self.counts: CampaignCounts | None = None
        self.exhausted: dict[str, str] = {}  # owner -> why nothing of it is sent
        # Is told when something is held back, or no longer.
        self.changed: Callable[[], None] = lambda: None

    def pay(self, stream: str, size_bytes: int, /) -> bool:
        owner = self._owner(stream)
        self.look()
        if not self.budgets.pay(owner, size_bytes, is_metered=self._is_metered()):
            return False
        if self.exhausted.pop(owner, None) is not None:
            self.changed()
        if self.counts is not None and owner:
            self.counts.of(owner).sent_bytes += size_bytes
        return True

    async def reserve(self, stream: str, size_bytes: int, /) -> bool:
        owner, is_metered = self._owner(stream), self._is_metered()
        exhausted = self.budgets.exhausted(owner, size_bytes, is_metered=is_metered)
        if exhausted is not None:
            self._say(owner, str(exhausted))
            return False
        wanted = self.budgets.wanted(owner, size_bytes, is_metered=is_metered)
        try:
            await asyncio.to_thread(self._keep, self.budgets.ledger(wanted))
        except Unavailable as error:
            self._say(owner, f"its budget cannot be kept: {error}")
            return False
        self.budgets.reserved(wanted)
        return True

    def look(self) -> None:
        """Take the time: a day may have begun."""
        if self.budgets.look(now_ns=self._clock.now_ns(), monotonic_ns=self._clock.monotonic_ns()):
            self.exhausted.clear()
            self.changed()

    def why(self, owner: str) -> str:
        """Return why nothing of a campaign is sent; "" when something is."""
        return self.exhausted.get(owner, "")

    def close(self) -> None:
        """Keep what was really spent: the agent ends in order."""
        try:
            self._keep(self.budgets.final_ledger())
        except Unavailable as error:
            EVENTS.warning("budget_not_kept", reason=str(error))

    def _owner(self, stream: str) -> str:
        return self._campaign_of(stream) if stream else VEHICLE

    def _say(self, owner: str, reason: str) -> None:
        was_paid = owner not in self.exhausted
        self.exhausted[owner] = reason
        if was_paid:
            EVENTS.warning("held_back", campaign=owner, reason=reason)
            self.changed()

    def _keep(self, ledger: Ledger) -> None:
        self._kept.keep(LEDGER, ledger_to_bytes(ledger))


def ledger_to_bytes(ledger: Ledger) -> bytes:
    """Return the record of a ledger."""
    reserved = [[one.owner, str(one.span), much] for one, much in ledger.reserved.items()]
    return json.dumps({"day": ledger.day, "reserved": reserved}).encode()


def ledger_from_bytes(record: bytes | None) -> Ledger:
    """Return the ledger of a record; a new one where there is none.

    A record is replaced whole, so a damaged one was damaged by somebody else: it is told, and begun anew.
    """
    if record is None:
        return Ledger()
    try:
        said = json.loads(record)
        reserved = {Account(owner, Span(span)): int(much) for owner, span, much in said["reserved"]}
        return Ledger(int(said["day"]), reserved)
    except (ValueError, TypeError, KeyError) as error:
        EVENTS.error("budget_forgotten", reason=str(error))
        return Ledger()
