"""What a running cloud does by itself, beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock, JumpWatch
from fairway.errors import Unavailable
from fleet_cloud.adapters.broker_child import MosquittoBroker, NatsBroker
from fleet_cloud.adapters.ending import Ending
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.pki_files import FilePki

log = logs.get("fleet_cloud")

# A clock that was set is worth a line within a second or two; nothing else depends on it.
CLOCK_LOOK_S = 1.0
# Revocation lists are good for a month; written every day, they outlive any outage that is not noticed.
LISTS_S = 86_400.0


async def watch_clock(clock: Clock) -> None:
    """Tell when somebody set the wall clock: times of receipt jump with it, nothing else does."""
    watch = JumpWatch(clock)
    while True:
        await asyncio.sleep(CLOCK_LOOK_S)
        if jump_ns := watch.jump_ns():
            log.warning("clock_jumped", by_s=round(jump_ns / NS_PER_S, 3))


async def renew_lists(
    pki: FilePki, fleet: Fleet, clock: Clock, broker: MosquittoBroker | NatsBroker | None
) -> None:
    """Date the revocation lists anew every day: doors refuse everybody once a list is too old."""
    while True:
        await asyncio.sleep(LISTS_S)
        try:
            await asyncio.to_thread(
                pki.write_revocations, fleet.certificates, clock.now_ns(), renews=True
            )
            if broker is not None:
                await broker.allow(fleet.members)
        except Unavailable as error:  # and again tomorrow: a list is good for a month
            log.error("revocation_lists_not_renewed", reason=str(error))  # noqa: TRY400 - the reason says it


@contextmanager
def following(
    pki: FilePki,
    fleet: Fleet,
    clock: Clock,
    end: Ending,
    broker: MosquittoBroker | NatsBroker | None,
    review: Callable[[], Awaitable[None]] | None,
) -> Iterator[None]:
    """Have doors follow the fleet while the body runs; `review` has one of them look at who is connected."""

    async def changed() -> None:
        log.info("fleet_changed", vehicles=len(fleet.tenants))
        if review is not None:
            await review()  # first: it needs nothing that could fail
        await asyncio.to_thread(pki.write_revocations, fleet.certificates, clock.now_ns())
        if broker is not None:
            await broker.allow(fleet.members)

    tasks = [
        asyncio.create_task(fleet.follow(changed)),
        asyncio.create_task(watch_clock(clock)),
        asyncio.create_task(renew_lists(pki, fleet, clock, broker)),
    ]
    for task in tasks:
        task.add_done_callback(lambda done: _end_with(done, end))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _end_with(task: asyncio.Task[None], end: Ending) -> None:
    """End the program with a task that runs for ever and has not: what follows the fleet shuts people out."""
    if not task.cancelled() and (error := task.exception()) is not None:
        end.fail(error)
