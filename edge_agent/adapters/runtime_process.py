"""Runs services as plain processes, where no container runtime exists: limited, but not isolated.

    Instance > Launch (limits, user, environment) > record > process      exit: descriptor > Exit > record

Rule 1: it says what it does not give: a process sees the vehicle's files, network and every socket that its
        user may open.  There is no mount namespace: FAIRWAY_SOCKETS names the folder that is SOCKETS elsewhere.
Rule 2: a process is written down before its program runs; the next agent finds it by number, start and boot.
Rule 3: when the first process of an instance has ended the others are ended, as in a container.
"""

import asyncio
import contextlib
import os
import signal as signals
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edge_agent.adapters import pidfds
from edge_agent.adapters.process_groups import ProcessGroups
from edge_agent.adapters.process_members import MARK, Belongs, leader_first, reap, tell, usage_of
from edge_agent.adapters.process_records import Launch, Record, Records, owned
from edge_agent.adapters.process_spawn import KILL_TIMEOUT_S, Child, execute
from edge_agent.services.instance import Instance
from edge_agent.services.runtime import Executed, Exit, Guarantees, Seen, Usage
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Runner

_PATH = "/usr/local/bin:/usr/bin:/bin"
_ASK_AGAIN_S = 0.02
# How a foreign process ended is known when its own parent has waited for it.
_TOLD_WITHIN_S = 2.0


class Outputs(Protocol):
    """Where standard output and error of instances go.  Contract: tests/contracts/test_service_logs.py."""

    def open(self, id_: str) -> tuple[int, int]:
        """Return descriptors to hand to a child, which the caller closes."""
        ...

    def adopt(self, id_: str) -> None:
        """Read on what an instance says that another agent started."""
        ...

    def close(self, id_: str) -> None:
        """Read it no longer."""
        ...


@dataclass(slots=True)
class _Known:
    """A process as this agent sees it."""

    record: Record
    descriptor: int  # -1: it has ended


class ProcessRuntime:
    """Runs plain processes.  Of one event loop."""

    def __init__(
        self, folder: Path, outputs: Outputs, clock: Clock, groups: ProcessGroups | None = None
    ) -> None:
        self._records, self._outputs, self._clock = Records(folder), outputs, clock
        self._groups = groups if groups is not None and groups.is_there else None
        self._known: dict[str, _Known] = {}
        self._has_adopted = False
        self._changed = asyncio.Event()
        self._boot = pidfds.boot()
        self._is_root = os.geteuid() == 0

    @property
    def gives(self) -> Guarantees:
        groups = self._groups
        return Guarantees(
            memory=groups is not None and groups.memory,
            cpu=groups is not None and groups.cpu,
            pids=self._is_root or (groups is not None and groups.pids),
            read_only_root=False,
            no_capabilities=True,
            system_calls=False,
            own_network=False,
            own_files=False,
            images=False,
            survives_agent=True,
            exit_codes_after=False,  # nobody is there to be told
        )

    async def start(self, instance: Instance) -> None:
        self._adopt()
        known = self._known.get(instance.id)
        if known is not None and known.descriptor >= 0:
            return
        uid = self._user(instance)
        await self._clean(instance.id)
        try:
            await self._start(instance, self._launch(instance, uid))
        except (BadInput, Unavailable, asyncio.CancelledError):
            await self._clean(instance.id)
            raise

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        self._adopt()
        number = _signal(signal)
        if members := self._members(id_):
            known = self._known.get(id_)
            tell(leader_first(members, known.record.pid if known else 0), number)
            await self._gone(id_, grace_s)
        await self._clean(id_)

    async def instances(self) -> Mapping[str, Seen]:
        self._adopt()
        return {
            id_: Seen(
                known.record.pid if known.descriptor >= 0 else 0,
                known.record.started_ns,
                known.record.exit,
            )
            for id_, known in self._known.items()
        }

    async def until_changed(self) -> None:
        self._adopt()
        await self._changed.wait()
        self._changed.clear()

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        launch = replace(self._running(id_).record.launch, argv=argv)
        groups = self._groups.joined_by(id_) if self._groups else []
        return await execute(launch.orders(groups), name=argv[0], timeout_s=timeout_s)

    async def usage(self, id_: str) -> Usage:
        self._running(id_)
        counted = self._groups.usage(id_) if self._groups else None
        return counted or usage_of(self._members(id_))

    async def close(self) -> None:
        """Let go of all instances; they run on."""
        for id_ in list(self._known):
            self._let_go(id_)

    async def _start(self, instance: Instance, launch: Launch) -> None:
        resources = instance.service.resources
        groups = self._groups.make(instance.id, resources) if self._groups else []
        out, err = self._outputs.open(instance.id)
        try:
            child = Child(out, err)
        finally:
            os.close(out)
            os.close(err)
        record = Record(
            instance.id, child.pid, child.ticks, self._boot, self._clock.now_ns(), launch
        )
        try:
            self._records.keep(record)
        except Unavailable:
            await child.end()
            raise
        await child.run(launch.orders(groups), instance.service.name)
        self._watch(record, child.descriptor)

    def _user(self, instance: Instance) -> int | None:
        """Return whom an instance runs as, None for the agent's user.  Raises BadInput for what never will."""
        service = instance.service
        if service.runner is not Runner.PROCESS or instance.root is not None:
            raise BadInput(
                f"{service.name} is an image: plain processes run programs of the vehicle"
            )
        if not instance.argv:
            raise BadInput(f"{service.name} has no command to run")
        _signal(service.stop_signal)
        uid = instance.uid if self._is_root else None
        if uid is not None and uid <= 0:
            raise BadInput(f"{service.name} would run as root: give it a user of its own")
        return uid

    def _launch(self, instance: Instance, uid: int | None) -> Launch:
        """Say how an instance is started, and make its folders.  Raises Unavailable."""
        service = instance.service
        work = self._records.work(instance.id, uid)
        places = [place for place, _ in instance.data]
        try:
            for place in places:
                owned(place, uid)
        except OSError as error:
            raise Unavailable(f"a folder of {service.name} cannot be made: {error}") from error
        environment = {
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            "HOME": str(places[0] if places else work),
            "TMPDIR": str(work),
            **dict(service.environment),
            **dict(instance.environment),
            MARK: instance.id,
            "FAIRWAY_SOCKETS": str(instance.sockets),
            **_data(places),
        }
        return Launch(
            instance.argv,
            tuple(environment.items()),
            str(places[0] if places else work),
            uid,
            self._limits(instance),
        )

    def _limits(self, instance: Instance) -> tuple[tuple[str, int], ...]:
        resources = instance.service.resources
        limits = {"RLIMIT_NOFILE": resources.files_max, "RLIMIT_CORE": 0}
        if not (self._groups and self._groups.memory):
            # What it writes to; its address space may be large without costing anything.
            limits["RLIMIT_DATA"] = resources.memory_max_bytes
        if self._is_root and not (self._groups and self._groups.pids):
            limits["RLIMIT_NPROC"] = resources.pids_max  # counted by user, which is its own
        return tuple(limits.items())

    def _adopt(self) -> None:
        """Find what another agent started, once."""
        if self._has_adopted:
            return
        self._has_adopted = True
        for record in self._records.all():
            if record.exit is not None:
                self._known[record.id] = _Known(record, -1)
                continue
            is_of_now = record.boot == self._boot
            descriptor = pidfds.opened(record.pid, record.ticks) if is_of_now else None
            self._outputs.adopt(record.id)
            if descriptor is None:
                self._known[record.id] = _Known(record, -1)
                self._end(record.id, Exit(None))
            else:
                self._watch(record, descriptor)
        for id_ in (self._groups.names() if self._groups else set()) - set(self._known):
            self._kill(id_)

    def _watch(self, record: Record, descriptor: int) -> None:
        self._known[record.id] = _Known(record, descriptor)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, lambda: self._ended(record.id, loop.time() + _TOLD_WITHIN_S))

    def _ended(self, id_: str, told_until: float) -> None:
        """Take note of an end, as soon as it is known how, or nobody will tell."""
        known = self._known.get(id_)
        if known is None or known.descriptor < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(known.descriptor)
        exit_ = pidfds.exit_of(known.descriptor)
        if exit_ is None and pidfds.tells_exits() and loop.time() < told_until:
            loop.call_later(_ASK_AGAIN_S, self._ended, id_, told_until)
            return
        self._end(id_, exit_ or Exit(None))

    def _end(self, id_: str, exit_: Exit) -> None:
        if self._groups and exit_.signal == signals.SIGKILL and self._groups.memory_kills(id_):
            exit_ = replace(exit_, was_out_of_memory=True)
        self._kill(id_)
        self._let_go(id_)
        self._outputs.close(id_)
        known = self._known[id_]
        known.record = self._records.ended(known.record, exit_)
        reap(known.record.pid)
        self._changed.set()

    def _let_go(self, id_: str) -> None:
        known = self._known[id_]
        if known.descriptor >= 0:
            with contextlib.suppress(RuntimeError):  # the loop may be closed
                asyncio.get_running_loop().remove_reader(known.descriptor)
            os.close(known.descriptor)
            known.descriptor = -1

    def _running(self, id_: str) -> _Known:
        self._adopt()
        known = self._known.get(id_)
        if known is None or known.descriptor < 0:
            raise Unavailable(f"{id_} does not run")
        return known

    def _members(self, id_: str) -> set[int]:
        if self._groups:
            return {pid for pid in self._groups.members(id_) if not pidfds.has_ended(pid)}
        known = self._known.get(id_)
        if known is None or known.record.boot != self._boot:
            return set()
        uid = known.record.launch.uid
        users = [other.record.launch.uid for other in self._known.values()]
        return Belongs(
            id_, known.record.pid, known.record.ticks, uid if users.count(uid) == 1 else None
        ).members()

    def _kill(self, id_: str) -> None:
        tell(self._members(id_), signals.SIGKILL)

    async def _gone(self, id_: str, within_s: float) -> bool:
        """Wait until nothing of an instance runs; return whether that came."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while self._members(id_):
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(min(_ASK_AGAIN_S, within_s))
        return True

    async def _clean(self, id_: str) -> None:
        """Leave nothing of an instance.  Raises Unavailable when it cannot be ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + KILL_TIMEOUT_S
        while True:
            self._kill(id_)
            if await self._gone(id_, _ASK_AGAIN_S):
                break
            if loop.time() >= deadline:
                raise Unavailable(f"{id_} cannot be ended: the kernel holds it")
        known = self._known.get(id_)
        if known is not None:
            if known.descriptor >= 0:
                pidfds.exit_of(known.descriptor)  # waited for, so that nothing of it is left
                self._let_go(id_)
            reap(known.record.pid)
            del self._known[id_]
        if self._groups:
            self._groups.remove(id_)
        self._records.forget(id_)
        self._outputs.close(id_)


def _signal(name: str) -> signals.Signals:
    try:
        return signals.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError as error:
        raise BadInput(f"{name[:40]!r} is no signal: use a name such as TERM or INT") from error


def _data(places: list[Path]) -> dict[str, str]:
    names = ["FAIRWAY_DATA", *(f"FAIRWAY_DATA_{number}" for number in range(2, len(places) + 1))]
    return {name: str(place) for name, place in zip(names, places, strict=False)}
