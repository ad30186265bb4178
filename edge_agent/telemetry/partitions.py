"""Which partitions a vehicle's campaigns have, when each is open, and which must make room first.

    campaign ---- "" (what goes at once) ------------------- always open
             '--- "critical" (while its condition is true) - open now?
             '--- "bulk" (on request) ---------------------- asked for until 12:00?

Rule 1: a partition of a campaign that is gone stays until it is drained, or until what it has is too old; its
        condition is looked at until then.
Rule 2: what a campaign does not spool lives in memory, little of it, and ends with the agent.
Rule 3: when all together are too much, the highest rank gives up its oldest first; of one rank, the largest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.telemetry.spool import SpooledBatch
from fairway.campaign.model import (
    AgeUnit,
    Campaign,
    ConditionBased,
    Extensions,
    Partition,
    SizeUnit,
)

# Of a campaign that does not spool: what a tunnel of some seconds takes, and no more.
MEMORY_MAX_BYTES = 512 * 1024
# Of all of those together.
MEMORY_ALL_MAX_BYTES = 16 * 1024 * 1024
NEVER = "false"


@dataclass(frozen=True, slots=True)
class Key:
    """Names a partition."""

    campaign: str  # sync id
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a campaign says of one of its partitions."""

    key: Key
    rank: int
    is_durable: bool
    is_gated: bool = False  # open by its condition or on request only
    upload: str | None = None  # the condition
    max_bytes: int = 0  # 0: as much as all partitions together may have
    max_age_s: int = 0  # 0: no limit
    equality_tolerance: float | None = None
    window_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What waited in a partition when somebody asked for it."""

    last_sequence: int
    until_ns: int = 0  # only what was closed by then; 0: all


@dataclass(frozen=True, slots=True)
class Holding:
    """How much a partition has."""

    key: Key
    rank: int
    is_durable: bool
    size_bytes: int
    waiting: int


def terms_of(sync_id: str, campaign: Campaign) -> tuple[Terms, ...]:
    """Return the partitions of a campaign, the one of what goes at once among them."""
    rank = campaign.effective_priority
    at_once = Terms(Key(sync_id), rank, campaign.is_spooled)
    more = campaign.extensions or Extensions()
    return (
        at_once,
        *(
            Terms(
                Key(sync_id, one.id),
                rank,
                is_durable=True,
                is_gated=True,
                upload=one.upload,
                max_bytes=one.max_bytes,
                max_age_s=one.max_age_s,
                equality_tolerance=more.equality_tolerance,
                window_ms=more.window_ms,
            )
            for one in campaign.partitions or ()
        ),
    )


def dormant(terms: Iterable[Terms]) -> Campaign | None:
    """Return what is still to be evaluated of a campaign that collects no more; None: nothing."""
    gated = [one for one in terms if one.upload is not None]
    if not gated:
        return None
    return Campaign(
        name=gated[0].key.campaign,  # two of one name are two
        scheme=ConditionBased(NEVER),
        partitions=tuple(
            Partition(one.key.partition, 1, SizeUnit.MB, "", 1, AgeUnit.HOURS, one.upload)
            for one in gated
        ),
        extensions=Extensions(gated[0].equality_tolerance, gated[0].window_ms),
    )


def is_open(terms: Terms, open_now: frozenset[Key], request: Request | None) -> bool:
    """Return whether what waits in a partition may go."""
    return not terms.is_gated or terms.key in open_now or request is not None


def asked_for(
    found: Sequence[SpooledBatch], request: Request
) -> tuple[list[SpooledBatch], Request]:
    """Return which batches a request is about, and the request with what is now known of its end."""
    for count, batch in enumerate(found):
        is_late = request.until_ns and batch.created_time_ns > request.until_ns
        if is_late or batch.sequence > request.last_sequence:
            return list(found[:count]), replace(request, last_sequence=batch.sequence - 1)
    return list(found), request


def to_shrink(
    holdings: Sequence[Holding], *, max_bytes: int, is_durable: bool
) -> tuple[Key, int] | None:
    """Return which partition gives up how much, so that all together fit; None: they do."""
    mine = [one for one in holdings if one.is_durable is is_durable]
    over = sum(one.size_bytes for one in mine) - max_bytes
    if over <= 0:
        return None
    full = [one for one in mine if one.waiting]
    if not full:
        return None
    least = max(full, key=lambda one: (one.rank, one.size_bytes))
    return least.key, over
