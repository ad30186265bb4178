"""Does what was decided for services: images, doors, runtimes; and notes in the book what came of it.

Rule 1: each step ends with a note, whatever happens: what never will work is told from what may work later.
Rule 2: few things are done at once: a vehicle that starts has two cores and a hundred services.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from edge_agent.adapters.service_checks import READINESS, Checks
from edge_agent.adapters.service_folders import Folders
from edge_agent.adapters.services_around import Machine
from edge_agent.adapters.services_book import Book, Entry
from edge_agent.services import change, life
from edge_agent.services.instance import Instance, Root
from edge_agent.services.life import Life, Up
from edge_agent.services.plan import Prepare, Start, Stop
from edge_agent.services.ports import Doors, Images
from edge_agent.services.records import instance_id
from edge_agent.services.runtime import Exit, Seen
from fairway import log
from fairway.clock import Clock
from fairway.errors import FairwayError, Unavailable
from fairway.services.model import Restart, Runner, Service

EVENTS = log.get("edge_agent.services")

STARTS_MAX = 4
STOPS_MAX = 16


class Steps:
    """Does steps."""

    def __init__(  # noqa: PLR0913 - it joins this many things
        self,
        book: Book,
        machines: Mapping[Runner, Machine],
        images: Images,
        doors: Doors,
        folders: Folders,
        checks: Checks,
        *,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._book, self._machines, self._images = book, machines, images
        self._doors, self._folders, self._checks = doors, folders, checks
        self._clock, self._chance = clock, chance
        self._starts, self._stops = asyncio.Semaphore(STARTS_MAX), asyncio.Semaphore(STOPS_MAX)
        self.instances: dict[str, Instance] = {}  # that run, or did

    def begin(
        self, entry: Entry, step: Prepare | Start | Stop
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Note that a step is being done, and return what does it."""
        now_ns = self._clock.monotonic_ns()
        if isinstance(step, Stop):
            service = entry.versions[step.id]
            self._book.live(entry, service, life.stopping(entry.lives[step.id], now_ns))
            return lambda: self._stop(entry, service, step)
        service = step.service
        before = entry.lives.get(instance_id(service), Life())
        if isinstance(step, Prepare):
            self._book.live(entry, service, life.preparing(before, now_ns))
            return lambda: self._prepare(entry, service)
        self._book.live(entry, service, life.starting(before, now_ns))
        return lambda: self._start(entry, service)

    async def _prepare(self, entry: Entry, service: Service) -> None:
        id_ = instance_id(service)
        try:
            async with self._starts:
                root = await self._root(service.image)
        except FairwayError as error:
            now_ns = self._clock.monotonic_ns()
            EVENTS.warning("service_image_missing", instance=id_, reason=str(error))
            missing = life.unprepared(
                entry.lives[id_], str(error), now_ns=now_ns, chance=self._chance()
            )
            self._book.live(entry, service, missing)
            return
        entry.roots[id_] = root
        self._book.live(entry, service, life.prepared(entry.lives[id_], self._clock.monotonic_ns()))

    async def _root(self, digest: str) -> Root:
        try:
            return await self._images.root(digest)
        except Unavailable:
            # No room: what nobody needs makes some.
            if not await self._images.collect(self._book.images()):
                raise
            return await self._images.root(digest)

    async def _start(self, entry: Entry, service: Service) -> None:
        id_ = instance_id(service)
        async with self._starts:
            if change.phase_of(entry.record) in change.PROVING and not entry.is_begun:
                entry.is_begun, entry.entered_ns = True, self._clock.monotonic_ns()
            try:
                instance = self._folders.instance(service, entry.roots.get(id_))
                environment = await self._doors.open(instance)
                instance = replace(instance, environment=environment)
                self.instances[id_] = instance
                await self._machines[service.runner].start(instance)
                await self._doors.started(id_)
            except FairwayError as error:
                self._refused(entry, service, error)
                return
        before = entry.lives[id_]
        entry.restarts += before.starts > 0
        is_ready = service.health.readiness is None
        now_ns = self._clock.monotonic_ns()
        self._book.live(entry, service, life.started(before, now_ns, is_ready=is_ready))
        self._checks.begin(instance)
        EVENTS.info("service_started", instance=id_, version=service.version)

    def _refused(self, entry: Entry, service: Service, error: FairwayError) -> None:
        id_ = instance_id(service)
        EVENTS.warning("service_not_started", instance=id_, reason=str(error))
        entry.failures += 1
        refused = life.refused(
            entry.lives[id_],
            str(error),
            is_hopeless=not isinstance(error, Unavailable),
            now_ns=self._clock.monotonic_ns(),
            chance=self._chance(),
        )
        self._book.live(entry, service, refused)

    async def _stop(self, entry: Entry, service: Service, step: Stop) -> None:
        try:
            async with self._stops:
                self._checks.end(step.id)
                await self._machines[service.runner].stop(
                    step.id, signal=self._signal(service, step.id), grace_s=step.grace_s
                )
                if not step.is_sick:
                    await self._doors.close(step.id)
        except FairwayError as error:
            EVENTS.warning("service_not_stopped", instance=step.id, reason=str(error))
            stuck = life.stuck(
                entry.lives[step.id],
                str(error),
                now_ns=self._clock.monotonic_ns(),
                chance=self._chance(),
            )
            self._book.live(entry, service, stuck)
            return
        if step.is_sick:
            self.ended(entry, service, Exit(None))
            return
        self.instances.pop(step.id, None)
        self._book.live(entry, service, life.gone(entry.lives[step.id], self._clock.monotonic_ns()))
        EVENTS.info("service_stopped", instance=step.id, version=service.version)

    def _signal(self, service: Service, id_: str) -> str:
        """Return the manifest's signal, or the image's where the manifest says nothing else."""
        instance = self.instances.get(id_)
        said = instance.root.settings.stop_signal if instance and instance.root else ""
        return (
            said.removeprefix("SIG")
            if said and service.stop_signal == "TERM"
            else service.stop_signal
        )

    def ended(self, entry: Entry, service: Service, exit_: Exit) -> None:
        """Note that an instance ended by itself, or was ended because it was sick."""
        id_ = instance_id(service)
        before, now_ns = entry.lives[id_], self._clock.monotonic_ns()
        self._checks.end(id_)
        after = life.ended(before, exit_, service.restart, now_ns=now_ns, chance=self._chance())
        self._book.live(entry, service, after)
        entry.failures += not exit_.is_success
        entry.out_of_memory += exit_.was_out_of_memory
        facts = {
            "instance": id_,
            "code": exit_.code,
            "signal": exit_.signal,
            "out_of_memory": exit_.was_out_of_memory,
        }
        if exit_.is_success and service.restart is not Restart.ALWAYS:
            EVENTS.info("service_succeeded", instance=id_)
        else:
            EVENTS.warning(
                "service_ended", **facts, liveness=before.sickness if before.is_sick else ""
            )

    def try_now(self, entry: Entry) -> None:
        """Wait no longer with what is waited with after a failure."""
        for id_, one in entry.lives.items():
            if one.up in (Up.ABSENT, Up.ENDED) and one.retry_ns:
                entry.lives[id_] = replace(one, retry_ns=self._clock.monotonic_ns())
        self._book.touch(entry.name)

    # what is there

    async def adopt(self, entry: Entry, service: Service, seen: Seen) -> None:
        """Take over an instance that an agent before us started."""
        id_, now_ns = instance_id(service), self._clock.monotonic_ns()
        is_ready = service.health.readiness is None
        self._book.live(entry, service, life.started(Life(), now_ns, is_ready=is_ready))
        if seen.exit is not None:
            self.ended(entry, service, seen.exit)
            return
        instance = self._folders.instance(service, None)
        self.instances[id_] = instance
        with suppress(FairwayError):
            await self._doors.open(instance)
            await self._doors.started(id_)
        self._checks.begin(instance, is_adopted=True)
        EVENTS.info("service_adopted", instance=id_, pid=seen.pid)

    async def look(self, runner: Runner) -> None:
        """Note which instances ended, and stop those that nobody knows."""
        machine = self._machines[runner]
        before = {
            id_: one.starts
            for entry in self._book.entries.values()
            for id_, one in entry.lives.items()
            if one.up is Up.RUNNING and entry.versions[id_].runner is runner
        }
        seen = await machine.instances()
        for id_, starts in before.items():
            entry = self._book.entry_of(id_)
            one = entry.lives[id_] if entry else Life()
            if entry is None or one.up is not Up.RUNNING or one.starts != starts:
                continue
            exit_ = seen[id_].exit if id_ in seen else Exit(None)
            if exit_ is not None:
                self.ended(entry, entry.versions[id_], exit_)
        for id_ in seen:
            entry = self._book.entry_of(id_)
            one = entry.lives[id_] if entry else Life()
            if not one.is_there and not one.is_busy:
                await self.remove(machine, id_)

    async def remove(self, machine: Machine, id_: str) -> None:
        """Stop an instance that nobody knows."""
        EVENTS.warning("unknown_service_removed", instance=id_)
        try:
            await machine.stop(id_)
            await self._doors.close(id_)
        except FairwayError as error:
            EVENTS.warning("service_not_stopped", instance=id_, reason=str(error))

    def verdict(self, id_: str, kind: str, is_passed: bool, why: str) -> None:  # noqa: FBT001 - of a callback
        """Note what the checks of an instance amount to."""
        entry = self._book.entry_of(id_)
        if entry is None or entry.lives[id_].up is not Up.RUNNING:
            return
        now_ns, one = self._clock.monotonic_ns(), entry.lives[id_]
        if kind == READINESS:
            after = life.ready(one, is_ready=is_passed, now_ns=now_ns)
        elif not is_passed:
            after = life.sick(one, why)
        else:
            return
        if after != one:
            EVENTS.info("service_verdict", instance=id_, check=kind, passed=is_passed, reason=why)
            self._book.live(entry, entry.versions[id_], after)
