"""How often is too often: token buckets, without a clock.

A bucket holds `burst` tokens at most and gains `per_s` a second; whoever finds none waits.
"""

from dataclasses import dataclass

from fairway.clock import NS_PER_S


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may be done."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left, and when that was so."""

    tokens: float
    at_ns: int  # of a monotonic clock


def filled(limit: Limit, bucket: Bucket | None, now_ns: int) -> Bucket:
    """Return the bucket as it is now; one that nobody used yet is full."""
    if bucket is None:
        return Bucket(limit.burst, now_ns)
    gained = max(0, now_ns - bucket.at_ns) / NS_PER_S * limit.per_s
    return Bucket(min(limit.burst, bucket.tokens + gained), now_ns)


def wait_s(limit: Limit, bucket: Bucket | None, now_ns: int) -> float:
    """Return how long until there is a token: 0 when there is one now."""
    return max(0.0, (1 - filled(limit, bucket, now_ns).tokens) / limit.per_s)


def taken(limit: Limit, bucket: Bucket | None, now_ns: int) -> Bucket:
    """Return the bucket after a token was taken; an empty one stays empty."""
    now = filled(limit, bucket, now_ns)
    return Bucket(max(0.0, now.tokens - 1), now_ns)
