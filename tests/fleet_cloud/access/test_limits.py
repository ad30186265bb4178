"""Token buckets."""

from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.access.limits import Limit, taken, wait_s

S = 1_000_000_000


@given(
    gaps_ms=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    limit=st.builds(Limit, st.floats(0.1, 50), st.integers(1, 20)),
)
def test_nobody_gets_more_than_the_burst_and_what_has_flowed_in(gaps_ms, limit):
    bucket, now_ns, got = None, 0, 0
    for gap_ms in gaps_ms:
        now_ns += gap_ms * S // 1000
        if wait_s(limit, bucket, now_ns) == 0:
            bucket = taken(limit, bucket, now_ns)
            got += 1

    assert 1 <= got <= limit.burst + limit.per_s * now_ns / S + 1e-6


def test_whoever_waits_as_long_as_told_gets_in():
    limit, bucket = Limit(0.5, 2), None
    for _ in range(2):
        bucket = taken(limit, bucket, 0)
    told_s = wait_s(limit, bucket, 0)

    assert told_s == 2.0
    assert wait_s(limit, bucket, int(told_s * S)) == 0
