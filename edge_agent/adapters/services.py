"""The supervisor: keeps what is wanted, has it run, looks how it does, and goes back when a new version fails.

    apply, stop, start > wanted (durable) > plan.decide > records (durable) > steps > runtime, images, doors
                            ^---- exits, verdicts of checks, timers, the cloud comes and goes ----'

Rule 1: what is wanted is durable before it is in force, and taken whole or not at all.
Rule 2: services outlive the agent: a new one adopts what it knows and removes what it does not.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace as with_
from typing import Any

from edge_agent.adapters.service_folders import Folders
from edge_agent.adapters.services_around import Around, Terms
from edge_agent.adapters.services_book import Book, forgiven
from edge_agent.adapters.services_data import DataLook
from edge_agent.adapters.services_kept import read_records, read_wanted
from edge_agent.adapters.services_loop import Loop
from edge_agent.adapters.services_told import Teller
from edge_agent.adapters.services_usage import UsageLook
from edge_agent.services import change
from edge_agent.services.denials import Denial
from edge_agent.services.life import Up
from edge_agent.services.numbers import AllNumbers
from edge_agent.services.plan import Stop
from edge_agent.services.records import (
    WANTED,
    Source,
    Wanted,
    instance_id,
    record_name,
    wanted_to_bytes,
)
from edge_agent.services.runtime import Executed
from edge_agent.services.wanted import applied, switched
from fairway import log
from fairway.errors import BadInput, Denied, Unavailable
from fairway.services.model import Service
from fairway.services.states import Status

EVENTS = log.get("edge_agent.services")

EXEC_TIMEOUT_S = 30.0


class Services:
    """All services of this vehicle; `run` it as a task."""

    def __init__(self, terms: Terms, around: Around) -> None:
        """Take up what was wanted.  Raises BadInput for manifests of the settings that cannot be."""
        self._terms, self._around = terms, around
        runners = frozenset(around.machines) & terms.room.runners
        self._book = Book(with_(terms.room, runners=runners), around.clock)
        self._folders = Folders(terms.places, around.kept)
        self._loop = Loop(self._book, self._folders, around)
        self._usage = UsageLook(around.machines, self._book, terms.usage_interval_s, around.clock)
        self._data = DataLook(self._loop.steps.instances, around.data_warnings)
        self._teller = Teller(
            self._book,
            self._loop.checks,
            self._usage,
            around.clock,
            is_isolated=self._isolated,
            denials=around.denials,
        )
        self._teller.overfull = self._data.of
        self._loop.decided = self._decided
        self._orders = asyncio.Lock()
        self.changed: Callable[[], None] = lambda: None  # called when some state is another
        wanted = read_wanted(around.kept, terms.files)
        self._folders.give(one.name for one in wanted.services)
        self._book.want(wanted)
        read_records(around.kept, self._book)

    # orders

    @property
    def revision(self) -> str:
        """Of the cloud's list that is wanted."""
        return self._book.wanted.revision

    async def apply(
        self,
        services: Sequence[Service],
        *,
        source: Source = Source.LOCAL,
        retry: bool = False,
        replace: bool = False,
        revision: str | None = None,
    ) -> None:
        """Declare services; `replace`: and take back all others that `source` declared.

        `retry`: versions that failed here are tried again.  `revision` goes with a list of the cloud.
        Returns once it is durable.  Raises BadInput when they cannot run here, Conflict when a higher source
        declared one of them, Unavailable when it cannot be made durable; then nothing is changed.
        """
        async with self._orders:
            wanted = applied(
                self._book.wanted,
                services,
                source,
                self._book.room,
                replace=replace,
                revision=revision,
            )
            await self._want(wanted)
            if retry:
                changed = forgiven(self._book, [one.name for one in services])
                await self._loop.keep(changed)
        self._loop.awake()

    async def stop(self, name: str) -> None:
        """Stop a service until a person starts it.  Raises BadInput or Unavailable."""
        await self._switch(name, is_on=False)

    async def start(self, name: str) -> None:
        """Have a service run that was stopped, or is not active.  Raises BadInput or Unavailable."""
        await self._switch(name, is_on=True)

    async def remove(self, name: str) -> None:
        """Take a service back.  Raises BadInput or Unavailable."""
        self._known(name)
        async with self._orders:
            left = tuple(one for one in self._book.wanted.declared if one.service.name != name)
            by_hand = {key: on for key, on in self._book.wanted.by_hand.items() if key != name}
            wanted = Wanted(left, by_hand, self._book.wanted.revision)
            applied(wanted, (), Source.LOCAL, self._book.room)
            await self._want(wanted)
        self._loop.awake()

    async def restart(self, name: str) -> None:
        """Stop what runs of a service; it is started again at once.  Raises BadInput."""
        self._known(name)
        entry = self._book.entries[name]
        for id_, life in list(entry.lives.items()):
            if life.up in (Up.RUNNING, Up.ENDED) and self._loop.is_running:
                stop = Stop(id_, entry.versions[id_].stop_grace_s)
                self._loop.do(self._loop.steps.begin(entry, stop))
        self._loop.steps.try_now(entry)
        self._loop.awake()

    async def _switch(self, name: str, *, is_on: bool) -> None:
        self._known(name)
        async with self._orders:
            await self._want(switched(self._book.wanted, name, is_on=is_on))
        self._loop.awake()

    async def _want(self, wanted: Wanted) -> None:
        """Have other services wanted, once that is durable."""
        kept, before = self._around.kept, self._book.wanted
        await asyncio.to_thread(self._folders.give, [one.name for one in wanted.services])
        await asyncio.to_thread(kept.keep, WANTED, wanted_to_bytes(wanted))
        gone = {one.name for one in before.services} - {one.name for one in wanted.services}
        for name in gone:
            try:
                await asyncio.to_thread(kept.keep, record_name(name), b"")
            except Unavailable as error:  # what is wanted is durable: it is in force all the same
                EVENTS.warning("service_record_left", service=name, reason=str(error))
        self._book.want(wanted)
        self._loop.hold()
        EVENTS.info("services_wanted", services=len(wanted.declared), revision=wanted.revision)

    def declared(self, name: str) -> Service | None:
        """Return what is wanted of a service, None when it is not."""
        return next((one for one in self._book.wanted.services if one.name == name), None)

    def _known(self, name: str) -> Service:
        for one in self._book.wanted.services:
            if one.name == name:
                return one
        names = ", ".join(sorted(one.name for one in self._book.wanted.services)) or "none"
        raise BadInput(f"there is no service {name[:80]!r}; declared are: {names}")

    # running

    async def run(self) -> None:
        """Supervise until cancelled; services run on if their runtime lets them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run())
            tasks.create_task(self._usage.run())
            tasks.create_task(self._data.run())

    def _decided(self, names: set[str]) -> None:
        if self._teller.look(names):
            self.changed()

    # what is told

    def statuses(self) -> list[Status]:
        """Return how all services stand, by name."""
        return self._teller.statuses()

    def why(self, name: str) -> dict[str, Any]:
        """Return everything that explains how a service stands.  Raises BadInput."""
        self._known(name)
        return self._teller.why(name)

    def denials(self, name: str) -> Sequence[Denial]:
        """Return what a service was denied since the agent's start, the newest first."""
        return self._around.denials(name)

    def hint(self, hints: Callable[[Service], Sequence[str]]) -> None:
        """Tell beside a service, from now on, what `hints` says of it: a sentence each."""
        self._teller.hints = hints

    def numbers(self) -> AllNumbers:
        """Return what there is to count."""
        return with_(
            self._teller.numbers(),
            changes=self._loop.changes,
            roll_backs=self._loop.roll_backs,
            disk_failing=self._loop.is_disk_failing,
            is_lost=self._loop.link.is_lost,
        )

    @property
    def decisions(self) -> int:
        """How often it was decided what is to be done for some service."""
        return self._loop.decisions

    def logs(self, name: str, last: int) -> list[str]:
        """Return the newest lines of a service, or of one instance by its id.  Raises BadInput."""
        if "." in name:
            self._known(name.rpartition(".")[0])
            return self._around.logs.lines(name, last)
        self._known(name)
        service = change.in_force(self._book.entries[name].record) or self._known(name)
        return self._around.logs.lines(instance_id(service), last)

    async def execute(self, name: str, argv: Sequence[str]) -> Executed:
        """Run a command inside a service.  Raises Denied unless the settings allow it, or Unavailable."""
        service = self._known(name)
        if not self._terms.allow_exec:
            EVENTS.warning("exec_denied", service=name)
            raise Denied(f"commands inside {name} are denied: [services] allow_exec is false")
        service = change.in_force(self._book.entries[name].record) or service
        EVENTS.warning("exec_allowed", service=name)
        machine = self._around.machines[service.runner]
        return await machine.execute(instance_id(service), tuple(argv), timeout_s=EXEC_TIMEOUT_S)

    def _isolated(self, service: Service) -> bool:
        machine = self._around.machines.get(service.runner)
        return machine is not None and machine.gives.is_isolated

    # images

    @property
    def images_kept(self) -> frozenset[str]:
        """The digests that may be needed again: wanted, running, and the last good ones."""
        return self._book.images()

    @property
    def images_missing(self) -> frozenset[str]:
        """The digests that are wanted and not unpacked yet."""
        return frozenset(self._book.missing_images())

    def images_changed(self) -> None:
        """Look again for images that were missing: something came."""
        for entry in self._book.entries.values():
            self._loop.steps.try_now(entry)
        self._loop.awake()

    async def collect_images(self) -> int:
        """Remove the images that nobody needs, and return how many bytes that freed."""
        return await self._around.images.collect(self._book.images())
