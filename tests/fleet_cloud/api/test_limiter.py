"""Limits by name: bounded in memory, and fair to addresses of both kinds."""

import pytest

from fairway.clock import ManualClock
from fleet_cloud.access.limits import Limit
from fleet_cloud.api import limiter
from fleet_cloud.api.limiter import Limiter, Recent, address_of


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8:0:1::1", "2001:db8::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("testclient", "other", False),
    ],
)
def test_what_one_party_is_given_counts_as_one_address(first, second, is_one):
    assert (address_of(first) == address_of(second)) is is_one


def test_whoever_comes_with_ever_new_names_fills_no_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limiter, "NAMES_MAX", 3)
    buckets, seen = Limiter(Limit(1, 1), ManualClock()), Recent(10, ManualClock())
    for number in range(9):
        buckets.take(str(number))
        seen.note(str(number))

    assert (len(buckets._buckets), len(seen._noted)) == (3, 3)
    assert buckets.wait_s("8") == 1.0
    assert (seen.knows("8"), seen.knows("0")) == (True, False)
