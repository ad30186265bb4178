"""What every purse promises: what it reserved can be paid, and what it did not cannot."""

import pytest

from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.adapters.lanes import OpenPurse
from edge_agent.adapters.purse import LEDGER, BudgetPurse, ledger_from_bytes, ledger_to_bytes
from edge_agent.telemetry.budgets import VEHICLE, Account, Budgets, Ledger, Span
from edge_agent.telemetry.lanes import Purse, paid
from fairway.clock import ManualClock
from fairway.errors import Unavailable

STREAM = "1" * 16
LIMIT = 1000


def budget_purse(kept: MemoryKept, clock: ManualClock | None = None) -> BudgetPurse:
    ledger = ledger_from_bytes(kept.read(LEDGER))
    return BudgetPurse(
        Budgets({Account(VEHICLE, Span.DAY): LIMIT}, ledger),
        kept,
        clock or ManualClock(),
        is_metered=lambda: False,
        campaign_of=lambda stream: "campaign" if stream == STREAM else "",
    )


@pytest.fixture(params=["open", "budget"])
def purse(request: pytest.FixtureRequest) -> Purse:
    return OpenPurse() if request.param == "open" else budget_purse(MemoryKept())


async def test_what_was_reserved_can_be_paid_for_a_lane_and_for_what_is_of_none(purse: Purse):
    for stream in (STREAM, ""):
        if not purse.pay(stream, 100):
            assert await purse.reserve(stream, 100)
            assert purse.pay(stream, 100)
        assert await paid(purse, 100)


async def test_no_more_than_the_limit_is_paid():
    purse = budget_purse(MemoryKept())
    told: list[str] = []
    purse.changed = lambda: told.append("changed")

    assert [await paid(purse, 300) for _ in range(5)] == [True, True, True, False, False]
    assert await paid(purse, 100)
    assert purse.why(VEHICLE) == ""
    assert not await paid(purse, 1)
    assert "may send 1000 bytes a day" in purse.why(VEHICLE)
    assert told


async def test_a_crash_at_any_time_never_makes_the_limit_larger():
    kept, sent = MemoryKept(), 0
    for size in (7, 130, 61, 1, 333, 90) * 10:
        purse = budget_purse(kept)  # as after kill -9: nothing but what was kept
        for _ in range(2):
            sent += size if await paid(purse, size) else 0

    assert 0 < sent <= LIMIT


async def test_a_disk_that_takes_nothing_reserves_nothing():
    class Full(MemoryKept):
        def keep(self, name: str, record: bytes) -> None:
            raise Unavailable("the disk is full")

    purse = budget_purse(Full())

    assert not await paid(purse, 10)
    assert "cannot be kept: the disk is full" in purse.why(VEHICLE)


def test_a_ledger_comes_back_and_a_damaged_one_begins_anew():
    ledger = Ledger(20_000, {Account("campaign", Span.TOTAL): 5})

    assert ledger_from_bytes(ledger_to_bytes(ledger)) == ledger
    for damaged in (b"", b"[]", b'{"day": 1}', b'{"day": 1, "reserved": [[1]]}', b"\xff"):
        assert ledger_from_bytes(damaged) == Ledger()
