"""Carries an order out: does what acts.py says, one act after the other, each written down before and after.

    take(order) > [ next act > intent durable > act > result durable ] ... > over

Rule 1: one order at a time; who wants another has to wait, or to withdraw this one while that costs nothing.
Rule 2: nothing is done while what it is about cannot be made durable: a disk that fails stops an update, at
        whatever step, and goes on when it takes something again.
Rule 3: what cannot be brought back or committed now is tried again, for as long as it takes.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.adapters.updates_acts import Actor, Later
from edge_agent.adapters.updates_around import Around
from edge_agent.updates import acts, telling
from edge_agent.updates.acts import Act, Do
from edge_agent.updates.conditions import consent_lacks, unmet
from edge_agent.updates.life import HARMLESS, Step
from edge_agent.updates.order import Consent, Kept, Order
from fairway import log
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Conflict, Unavailable

EVENTS = log.get("edge_agent.updates")


@dataclass(frozen=True, slots=True)
class Standing:
    """How it goes, for people."""

    waits_for: tuple[str, ...] = ()
    is_disk_failing: bool = False
    percent: int | None = None  # of what is fetched


class Updates:
    """The order under way; `run` it as a task."""

    def __init__(self, around: Around) -> None:
        """Take up what was kept.  Raises Unavailable."""
        self._around = around
        self.kept: Kept = around.memory.read()
        self.standing = Standing()
        self._actor = Actor(around)
        self._wake, self._ended = asyncio.Event(), asyncio.Event()
        self._keeping = asyncio.Lock()
        self.roll_backs = self.commits = 0
        self.changed: Callable[[], None] = lambda: None  # called when something may be told
        self.has_news: Callable[[], None] = lambda: None  # called when the cloud may be told more
        self.over_with: Callable[[], None] = lambda: None  # called when an order is over

    # what others say

    async def take(self, order: Order) -> None:
        """Begin an order.  Raises Conflict while there is another, Unavailable when it cannot be kept."""
        if self.kept.order is not None:
            raise Conflict(f"the update {self.kept.order.action} is under way")
        await self.keep(lambda kept: telling.with_order(kept, order, now_ns=self._now_ns()))
        EVENTS.info("update_taken", action=order.action, images=len(order.tasks))
        self._wake.set()

    async def withdraw(self, why: str) -> bool:
        """Give the order up, if it has not begun to change the vehicle; return whether it is given up."""
        order = self.kept.order
        if order is None or order.step not in HARMLESS:
            return False
        self._actor.stop()
        await self._move(lambda now: acts.cancelled(now, why))
        self._wake.set()
        return True

    async def over(self) -> None:
        """Wait until there is no order under way."""
        while self.kept.order is not None:
            self._ended.clear()
            await self._ended.wait()

    async def consent(self, said: Consent, *, postpone_s: float = 0.0) -> None:
        """Note what the driver says.  Raises BadInput when nobody was asked, Conflict when it is too late."""
        order = self.kept.order
        if order is None:
            raise BadInput("there is no update that could be accepted, declined or postponed")
        if order.step not in HARMLESS:
            raise Conflict(f"the update {order.action} is being installed: it is too late for that")
        until_ns = self._now_ns() + round(postpone_s * NS_PER_S)
        if said is not Consent.POSTPONED:
            until_ns = 0
        await self._move(lambda now: replace(now, consent=said, postponed_until_ns=until_ns))
        EVENTS.info("update_consent", action=order.action, said=said)
        self._wake.set()

    async def keep(self, change: Callable[[Kept], Kept]) -> None:
        """Change what is kept, durably.  Raises Unavailable; then nothing is changed."""
        async with self._keeping:
            after = change(self.kept)
            if after == self.kept:
                return
            await asyncio.to_thread(self._around.memory.keep, after)
            has_news = after.sequence > self.kept.sequence
            self.kept = after
        self.changed()
        if has_news:
            self.has_news()

    # carrying it out

    async def run(self) -> None:
        """Carry orders out until cancelled."""
        await self.resume()
        while True:
            self._wake.clear()
            wait_s = await self.carry()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def resume(self) -> None:
        """Take up an order that was under way when the agent ended."""
        boot_id = self._around.machine.boot_id()
        await self._surely(lambda order: acts.resumed(order, boot_id))
        order = self.kept.order
        await asyncio.to_thread(_clear, self._around.folder, order.token if order else "")
        if order is not None:
            EVENTS.info("update_resumed", action=order.action, step=order.step, starts=order.starts)

    async def carry(self) -> float | None:
        """Do what can be done now; return after how many seconds to come again, None: when there is news."""
        while (order := self.kept.order) is not None:
            blocked = self._blocked(order)
            act = acts.next_act(order, may_activate=not blocked)
            if act.do is Do.REPORT:
                await self._end(order)
                continue
            await self._begin(act)
            later = await self._do(act)
            if later is not None:
                return later.after_s
        self._say(())
        return None

    async def _begin(self, act: Act) -> None:
        boot_id = self._around.machine.boot_id()
        await self._surely(lambda order: acts.begun(order, act, boot_id=boot_id))

    async def _do(self, act: Act) -> Later | None:
        order = self.kept.order
        assert order is not None
        if act.do is Do.WAIT:
            outcome = self._actor.waited(order, self._blocked(order))
        else:
            outcome = await self._actor.do(order, act)
        if isinstance(outcome, Later):
            self._say(outcome.why)
            if outcome.source is not None:
                source = outcome.source
                await self._surely(lambda now: _resourced(now, act.task, source))
            return outcome
        self._say(())
        if isinstance(outcome, acts.Failed):
            EVENTS.warning(
                "update_failing", action=order.action, step=order.step, reason=outcome.sentence
            )
        # Who withdrew it meanwhile has moved it: what was done for it counts no more.
        step = order.step
        await self._surely(lambda now: acts.after(now, act, outcome) if now.step is step else now)
        return None

    def _blocked(self, order: Order) -> tuple[str, ...]:
        if order.step not in (Step.WAIT_CONDITIONS, Step.ACTIVATE):
            return ()
        facts = self._around.facts()
        return unmet(order, facts, self._around.terms, now_ns=self._now_ns())

    @property
    def asks_driver(self) -> bool:
        """Whether the driver's word is what is missing."""
        order = self.kept.order
        return (
            order is not None
            and order.step in HARMLESS
            and order.consent is not Consent.DECLINED
            and bool(consent_lacks(order, now_ns=self._now_ns()))
        )

    async def _end(self, order: Order) -> None:
        if order.fault is None:
            # Before the order is forgotten: raised twice is as good as once.
            await self._counters_raised(order)
        await self._until_kept(lambda kept: telling.ended(kept, order, now_ns=self._now_ns()))
        self._ended.set()
        done = self.kept.done[-1]
        self.commits += done.fault is None
        self.roll_backs += done.fault is not None and order.touched
        EVENTS.info(
            "update_ended",
            action=done.action,
            stage=done.stage,
            fault=done.fault,
            reason=done.sentence,
        )
        await asyncio.to_thread(_clear, self._around.folder, "")
        self.over_with()

    async def _counters_raised(self, order: Order) -> None:
        while True:
            try:
                await asyncio.to_thread(
                    self._around.committed, [one.assigned for one in order.tasks]
                )
            except Unavailable as error:
                EVENTS.error("release_counters_not_kept", reason=str(error))
                await asyncio.sleep(self._around.limits.way_back_max_s)
            else:
                return

    async def _surely(self, change: Callable[[Order], Order]) -> None:
        """Move the order, and try until that is durable."""

        def moved(kept: Kept) -> Kept:
            if kept.order is None:
                return kept
            order = change(kept.order)
            if order == kept.order:
                return kept
            return telling.with_order(kept, order, now_ns=self._now_ns())

        await self._until_kept(moved)

    async def _until_kept(self, change: Callable[[Kept], Kept]) -> None:
        pause_s = self._around.limits.back_off_first_s
        while True:
            try:
                await self.keep(change)
            except Unavailable as error:
                if not self.standing.is_disk_failing:
                    EVENTS.error("updates_not_kept", reason=str(error))
                self.standing = replace(self.standing, is_disk_failing=True)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._around.limits.way_back_max_s)
            else:
                if self.standing.is_disk_failing:
                    self.standing = replace(self.standing, is_disk_failing=False)
                return

    async def _move(self, change: Callable[[Order], Order]) -> None:
        """Move the order once.  Raises Unavailable when that cannot be made durable."""

        def moved(kept: Kept) -> Kept:
            if kept.order is None:
                return kept
            return telling.with_order(kept, change(kept.order), now_ns=self._now_ns())

        await self.keep(moved)

    def _say(self, why: tuple[str, ...]) -> None:
        if why != self.standing.waits_for:
            self.standing = replace(self.standing, waits_for=why)
            if why:
                EVENTS.info("update_waits", reasons=list(why))
            self.changed()

    def _now_ns(self) -> int:
        return self._around.clock.now_ns()


def _resourced(order: Order, number: int, source: object) -> Order:
    tasks = list(order.tasks)
    tasks[number] = replace(tasks[number], source=source)  # type: ignore[arg-type]
    return replace(order, tasks=tuple(tasks))


def _clear(folder: Path, token: str) -> None:
    """Remove what was fetched for orders that are over."""
    with contextlib.suppress(OSError):
        for one in folder.iterdir():
            if one.name != token and one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
