"""The loop of the supervisor: decides for whom something happened, makes it durable, and begins it.

    exits, verdicts, timers, orders > book > decide > records (durable) > steps > book ...

Rule 1: each move of a change is durable before anything is done for it; without a disk nothing is changed.
Rule 2: nothing is asked of a service that nothing happened to: a hundred of them at rest cost next to nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from edge_agent.adapters.service_checks import Checks
from edge_agent.adapters.service_folders import Folders
from edge_agent.adapters.services_around import Around
from edge_agent.adapters.services_book import Book
from edge_agent.adapters.services_steps import Steps
from edge_agent.services import change
from edge_agent.services.health import Standing
from edge_agent.services.loss import Link, holds, looked
from edge_agent.services.plan import Decision, Forget, decide
from edge_agent.services.records import Record, instance_id, record_name, record_to_bytes
from fairway import log
from fairway.clock import NS_PER_S
from fairway.errors import FairwayError, Unavailable
from fairway.services.model import Runner

EVENTS = log.get("edge_agent.services")

# The longest sleep of the plan: a safety net, every event wakes it.
IDLE_MAX_S = 30.0
# A disk that took nothing is tried again.
DISK_RETRY_S = 5.0
LINK_LOOK_S = 1.0
# An engine that was started after the agent is found soon, and one that never comes is asked for seldom.
ABSENT_RETRY_MIN_S, ABSENT_RETRY_MAX_S = 1.0, 30.0


class Loop:
    """The loop; `run` it as a task."""

    def __init__(self, book: Book, folders: Folders, around: Around) -> None:
        self._book, self._folders, self._around, self._clock = book, folders, around, around.clock
        self.checks = Checks(around.prober, around.clock, self.verdict)
        self.steps = self._steps = Steps(
            book,
            around.machines,
            around.images,
            around.doors,
            folders,
            self.checks,
            clock=around.clock,
            chance=around.chance,
        )
        self.link = Link(is_there=True, since_ns=around.clock.monotonic_ns())
        self.changes = self.roll_backs = self.decisions = 0
        self.is_disk_failing = self.is_running = False
        self.decided: Callable[[set[str]], object] = set  # called with whom it was about
        self._news = asyncio.Event()
        self._served: dict[str, str] = {}
        self._absent: dict[Runner, str] = {}  # runtimes that did not answer yet, and what they said
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Supervise until cancelled; services run on if their runtime lets them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._adopt()
                self.is_running = True
                tasks.create_task(self._plan())
                tasks.create_task(self.checks.run())
                tasks.create_task(self._watch_link())
                for runner in self._around.machines:
                    tasks.create_task(self._watch(runner))
        finally:
            self._tasks, self.is_running = None, False

    async def _adopt(self) -> None:
        """Take over what runs, and remove what nobody knows."""
        for runner in self._around.machines:
            try:
                await self._adopt_from(runner)
            except Unavailable as error:
                EVENTS.warning("services_runtime_absent", runner=str(runner), reason=str(error))
                self._absent[runner] = str(error)
        self._folders.sweep(self._steps.instances.keys())
        self._around.logs.keep_only(self._book.entries.keys())
        self.hold()
        await self.keep({})

    async def _adopt_from(self, runner: Runner) -> None:
        machine = self._around.machines[runner]
        for id_, seen in (await machine.instances()).items():
            entry = self._book.entries.get(id_.rpartition(".")[0])
            known = {} if entry is None else change.versions(entry.record)
            if entry is None or id_ not in known:
                await self._steps.remove(machine, id_)
            else:
                await self._steps.adopt(entry, known[id_], seen)
        EVENTS.info("services_runtime", runner=str(runner), isolated=machine.gives.is_isolated)

    async def _until_there(self, runner: Runner) -> None:
        """Wait for a runtime that came later than the agent, and take over what runs there."""
        pause_s = ABSENT_RETRY_MIN_S
        while runner in self._absent:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, ABSENT_RETRY_MAX_S)
            try:
                await self._adopt_from(runner)
                del self._absent[runner]
            except Unavailable as error:
                self._absent[runner] = str(error)
            self.hold()
            self.awake()

    async def _plan(self) -> None:
        while True:
            await self._round()
            next_ns = self._book.next_ns()
            nap_s = IDLE_MAX_S
            if next_ns is not None:
                nap_s = min(max((next_ns - self._clock.monotonic_ns()) / NS_PER_S, 0.0), IDLE_MAX_S)
            try:
                async with asyncio.timeout(nap_s):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _round(self) -> None:
        """Decide for all who are due, and begin what was decided."""
        decided: set[str] = set()
        while names := self._book.due():
            decided.update(names)
            changed: dict[str, Record] = {}
            for name in names:
                self.decisions += 1
                decision = decide(self._book.view(name))
                entry = self._book.entries[name]
                entry.wake_ns = decision.wake_ns
                if decision.record != entry.record:
                    changed[name] = decision.record
                else:
                    entry.why = decision.why
                    self._begin(name, decision)
            await self.keep(changed)
        await self._serve()
        if decided:
            self.decided(decided)

    def _begin(self, name: str, decision: Decision) -> None:
        entry = self._book.entries[name]
        for step in decision.steps:
            if isinstance(step, Forget):
                self._book.forget(name)
                self._around.logs.keep_only(self._book.entries.keys())
                EVENTS.info("service_removed", service=name)
            else:
                self.do(self._steps.begin(entry, step))

    def do(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a step that was begun, beside everything else."""
        assert self._tasks is not None
        self._tasks.create_task(self._done(step))

    async def _done(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await step()
        self.awake()

    async def keep(self, changed: Mapping[str, Record]) -> None:
        """Make moves durable; what the disk does not take is tried again."""
        kept = self._around.kept

        async def keep(name: str, record: Record) -> None:
            try:
                await asyncio.to_thread(kept.keep, record_name(name), record_to_bytes(record))
            except Unavailable as error:
                self._not_kept(name, error)
                return
            self._kept(name, record)

        if changed:
            await asyncio.gather(*(keep(name, record) for name, record in changed.items()))

    def _not_kept(self, name: str, error: Unavailable) -> None:
        if not self.is_disk_failing:
            EVENTS.error("service_record_not_kept", service=name, reason=str(error))
        self.is_disk_failing = True
        entry = self._book.entries[name]
        entry.trouble = str(error)
        entry.wake_ns = self._clock.monotonic_ns() + round(DISK_RETRY_S * NS_PER_S)

    def _kept(self, name: str, record: Record) -> None:
        self.is_disk_failing = False
        before = self._book.entries[name].record
        self._book.keep(name, record)
        event = change.told(before, record)
        if event:
            self.changes += event == "service_in_force"
            self.roll_backs += event == "service_rolled_back"
            facts = {"service": name, "version": record.good.version if record.good else ""}
            bad = record.bad[-1].why if event == "service_rolled_back" and record.bad else ""
            (EVENTS.warning if bad else EVENTS.info)(event, **facts, reason=bad)

    async def _serve(self) -> None:
        """Let services call each other, if who is in force and ready is another than before."""
        active = {
            name: instance
            for name, (_, service) in self._book.active().items()
            if (instance := self._steps.instances.get(instance_id(service))) is not None
        }
        ids = {name: instance.id for name, instance in active.items()}
        if ids != self._served:
            self._served = ids
            try:
                await self._around.doors.serve(active)
            except FairwayError as error:
                self._served = {}
                EVENTS.warning("offers_not_served", reason=str(error))

    async def _watch(self, runner: Runner) -> None:
        machine, is_lost = self._around.machines[runner], False
        await self._until_there(runner)
        while True:
            if not is_lost:
                await machine.until_changed()
            try:
                await self._steps.look(runner)
                is_lost = False
            except Unavailable as error:
                # What has changed is told once: it is looked for until the runtime answers.
                if not is_lost:
                    EVENTS.warning("runtime_does_not_answer", runner=str(runner), reason=str(error))
                is_lost = True
                await asyncio.sleep(LINK_LOOK_S)
            self.awake()

    async def _watch_link(self) -> None:
        while True:
            link = looked(
                self.link,
                is_there=self._around.is_connected(),
                now_ns=self._clock.monotonic_ns(),
            )
            was_lost, self.link = self.link.is_lost, link
            if was_lost != link.is_lost:
                EVENTS.info("services_cloud", lost=link.is_lost)
                self.hold()
                self.awake()
            await asyncio.sleep(LINK_LOOK_S)

    def hold(self) -> None:
        """Hold back what is not to run now."""
        wanted = self._book.wanted
        held = holds(wanted.services, wanted.by_hand, is_lost=self.link.is_lost)
        absent = {
            one.name: self._absent[one.runner]
            for one in wanted.services
            if one.runner in self._absent
        }
        self._book.hold(absent | dict(held))

    def verdict(self, id_: str, kind: str, standing: Standing) -> None:
        """Note a new verdict of a check."""
        self._steps.verdict(id_, kind, bool(standing.is_passed), standing.last)
        self.awake()

    def awake(self) -> None:
        """Decide what is to be decided."""
        self._news.set()
