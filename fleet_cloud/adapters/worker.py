"""The two threads of ingest: one reads and claims, one stores; while a group is inserted the next is read.

    doors --Intake--> [read] gather, prepare --one group--> [store] insert, settle --> doors, live feed

Rule 1: a group is closed when it is full, or when it is old and the store waits for it: inserts grow with the
load, and there are never more than two groups beside the one that is read.
Rule 2: claims are timed by a clock that nobody sets: the wall's time at start, and steady from there.
Rule 3: an error nobody understood ends ingest, and with it the program: vehicles keep what was not answered.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue

from fairway import log as logs
from fairway.clock import NS_PER_MS, NS_PER_S, Clock, SteadyClock
from fairway.errors import Unavailable
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.intake import Intake, cost_bytes
from fleet_cloud.ingest.accept import Parsed, parse
from fleet_cloud.ingest.groups import Group, Groups
from fleet_cloud.ingest.ports import Answer, Door, Message
from fleet_cloud.ingest.status import Counts, IngestStatus
from fleet_cloud.vehicles.registry import VehicleRegistry

log = logs.get("fleet_cloud.ingest")

# Messages of one group: a fleet of small batches fills a group by count before it does by samples.
GROUP_MAX_MESSAGES = 5_000
# Taken from the intake at once: enough that its lock does not show.
_TAKE_MAX = 256
_IDLE_WAIT_S = 0.5
# How often an open group looks for more messages, and one that is old enough whether the store is free.
_BUSY_WAIT_S = 0.005
# When vehicles were last heard of is written this often: it is looked at by people.
SEEN_INTERVAL_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class Limits:
    """When a group is closed."""

    group_max_samples: int
    group_max_age_ms: int


class Worker:
    """Runs ingest between an intake and the stores."""

    def __init__(  # noqa: PLR0913 - everything that ingest stands between, put together once in app.py
        self,
        *,
        intake: Intake,
        groups: Groups,
        tenants: Callable[[], Mapping[str, str]],
        vehicles: VehicleRegistry,
        feed: Feed,
        clock: Clock,
        limits: Limits,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._intake = intake
        self._groups = groups
        self._tenants = tenants
        self._vehicles = vehicles
        self._feed = feed
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._limits = limits
        self._failed = failed
        self._left: deque[Message] = deque()  # taken from the intake, but the group was full
        self._ready: Queue[Group | None] = Queue(maxsize=1)
        self._broken = threading.Event()  # one of the threads has ended by an error
        self._lock = threading.Lock()
        self._counts = Counts()
        self._last_error = ""
        self._last_error_time_ns: int | None = None
        self._healthy = True
        self._latency_ms = 0.0
        self._seen: dict[str, int] = {}
        self._seen_written_ns = 0
        self._threads = [
            threading.Thread(target=self._guarded, args=(step,), name=name)
            for step, name in ((self._read, "ingest-read"), (self._store, "ingest-store"))
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store and answer what waits, then end."""
        self._intake.close()
        for thread in self._threads:
            thread.join()

    def count(self, counts: Counts) -> None:
        """Add what a door did by itself."""
        with self._lock:
            self._counts = self._counts + counts

    def status(self) -> IngestStatus:
        """Return how ingest is doing."""
        with self._lock:
            return IngestStatus(
                self._counts,
                healthy=self._healthy,
                queue_bytes=self._intake.held_bytes,
                queue_max_bytes=self._intake.max_bytes,
                store_latency_ms=self._latency_ms,
                last_error=self._last_error,
                last_error_time_ns=self._last_error_time_ns,
            )

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - told to the program, which ends
            self._broken.set()
            self._intake.close()
            self._failed(error)

    def _read(self) -> None:
        while not (self._intake.is_drained and not self._left):
            parsed = self._gather()
            if parsed:
                group = self._groups.prepare(parsed, self._steady.now_ns())
                self._note(group.counts, group.failure)
                self._answer(group.answers)
                if group.batches:
                    self._hand_over(group)
            if self._broken.is_set():
                return
        self._hand_over(None)

    def _hand_over(self, group: Group | None) -> None:
        while not self._broken.is_set():
            with suppress(Full):
                self._ready.put(group, timeout=_IDLE_WAIT_S)
                return

    def _gather(self) -> list[Parsed]:
        parsed: list[Parsed] = []
        samples = 0
        tenants = self._tenants()
        deadline_ns = 0
        while samples < self._limits.group_max_samples and len(parsed) < GROUP_MAX_MESSAGES:
            if not self._left and not self._refill(deadline_ns):
                if parsed and self._ready.full() and not self._broken.wait(_BUSY_WAIT_S):
                    continue
                break
            item = parse(self._left.popleft(), tenants)
            if not parsed:
                age_ns = self._limits.group_max_age_ms * NS_PER_MS
                deadline_ns = self._clock.monotonic_ns() + age_ns
            parsed.append(item)
            samples += item.samples
        return parsed

    def _refill(self, deadline_ns: int) -> bool:
        """Take more from the intake, and return whether there was any before the deadline (0: none yet)."""
        wait_s = _IDLE_WAIT_S
        if deadline_ns:
            left_s = (deadline_ns - self._clock.monotonic_ns()) / NS_PER_S
            wait_s = max(left_s, 0.0)
            # A group is open: to be woken for every message would cost more than the message.
            self._broken.wait(min(wait_s, _BUSY_WAIT_S))
        self._left.extend(self._intake.take(_TAKE_MAX, wait_s=wait_s))
        return bool(self._left)

    def _store(self) -> None:
        while not self._broken.is_set():
            try:
                group = self._ready.get(timeout=_IDLE_WAIT_S)
            except Empty:
                self._write_seen()
                continue
            if group is None:
                self._write_seen(now=True)
                return
            begun_ns = self._clock.monotonic_ns()
            outcomes = self._groups.store(group, self._steady.now_ns())
            latency_ms = (self._clock.monotonic_ns() - begun_ns) / NS_PER_MS
            self._note(outcomes.counts, outcomes.failure, latency_ms=latency_ms)
            log.debug("group_stored", samples=outcomes.counts.samples, ms=round(latency_ms, 1))
            self._answer(outcomes.answers)
            if outcomes.stored:
                self._feed.publish(outcomes.stored)
                self._seen |= {b.name.vehicle: b.received_time_ns for b in outcomes.stored}
            self._write_seen()

    def _answer(self, answers: Sequence[Answer]) -> None:
        by_door: dict[int, tuple[Door, list[Answer]]] = {}
        for answer in answers:
            door = answer.message.door
            by_door.setdefault(id(door), (door, []))[1].append(answer)
        for door, its_answers in by_door.values():
            door.answer(its_answers)
        if answers:
            self._intake.release(sum(cost_bytes(answer.message) for answer in answers))

    def _note(self, counts: Counts, failure: str, *, latency_ms: float | None = None) -> None:
        with self._lock:
            self._counts = self._counts + counts
            was_healthy = self._healthy
            if latency_ms is not None:
                self._latency_ms = latency_ms
                self._healthy = not failure
            if failure:
                self._healthy = False
                self._last_error = failure
                self._last_error_time_ns = self._clock.now_ns()
            is_healthy = self._healthy
        if was_healthy and not is_healthy:
            log.error("ingest_stalled", reason=failure, busy=counts.busy)
        elif is_healthy and not was_healthy:
            log.info("ingest_recovered", samples=counts.samples)

    def _write_seen(self, *, now: bool = False) -> None:
        moment_ns = self._clock.monotonic_ns()
        if not self._seen or (moment_ns - self._seen_written_ns < SEEN_INTERVAL_NS and not now):
            return
        self._seen_written_ns = moment_ns
        try:
            self._vehicles.seen(list(self._seen.items()))
        except Unavailable as error:
            log.warning("last_seen_not_written", reason=str(error))
            return
        self._seen = {}
