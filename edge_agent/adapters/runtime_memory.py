"""A runtime without processes: instances are entries in a table, and end as a script says or when told to.

    runtime = MemoryRuntime({"battery": Script(ends_after_s=0.1, exit=Exit(3))})    by service, or "name 1.2.0"
    runtime.end("battery.3f9c01ab77de", Exit(None, signal=9))

Rule 1: it keeps what it is given and isolates nothing, and says so.
Rule 2: it outlives the agent as a real one does; `power_cut` ends everything and leaves nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.services.instance import Instance
from edge_agent.services.runtime import Executed, Exit, Guarantees, Seen, Usage
from fairway.clock import NS_PER_S, Clock, SystemClock
from fairway.errors import FairwayError, Unavailable

_GIVES = Guarantees(
    memory=False,
    cpu=False,
    pids=False,
    read_only_root=False,
    no_capabilities=False,
    system_calls=False,
    own_network=False,
    own_files=False,
    images=True,
    survives_agent=True,
    exit_codes_after=True,
)


@dataclass(frozen=True, slots=True)
class Script:
    """What a program does."""

    ends_after_s: float | None = None  # by itself; None: never
    exit: Exit = field(default_factory=lambda: Exit(0))
    refuses: FairwayError | None = None  # raised by start()
    stops: FairwayError | None = None  # raised by stop()
    ignores_signals: bool = False  # it ends only when its grace is over
    answers: Callable[[tuple[str, ...]], Executed] = lambda argv: Executed(0, " ".join(argv))
    usage: Usage = field(default_factory=lambda: Usage(0, 1 << 20, 1))


class MemoryRuntime:
    """Runs nothing, faithfully."""

    def __init__(
        self, scripts: Mapping[str, Script] | None = None, clock: Clock | None = None
    ) -> None:
        self.scripts = dict(scripts or {})
        self.is_away = False  # as an engine is that does not answer
        self.started: list[str] = []  # ids, in order
        self.stopped: list[tuple[str, str]] = []  # ids and signals, in order
        self._clock = clock or SystemClock()
        self._seen: dict[str, Seen] = {}
        self._services: dict[str, Instance] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        self._pid = 1

    @property
    def gives(self) -> Guarantees:
        return _GIVES

    @property
    def running(self) -> list[str]:
        """The ids of what runs."""
        return [id_ for id_, one in self._seen.items() if one.exit is None]

    def instance(self, id_: str) -> Instance:
        """Return what was started under an id."""
        return self._services[id_]

    async def start(self, instance: Instance) -> None:
        script = self._script(instance)
        await asyncio.sleep(0)
        if script.refuses is not None:
            raise script.refuses
        self._pid += 1
        self._services[instance.id] = instance
        self._seen[instance.id] = Seen(self._pid, self._clock.now_ns())
        self.started.append(instance.id)
        if script.ends_after_s is not None:
            self._timers[instance.id] = asyncio.get_running_loop().call_later(
                script.ends_after_s, self.end, instance.id, script.exit
            )

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        one = self._seen.get(id_)
        if one is None:
            return
        script = self._script(self._services[id_])
        await asyncio.sleep(grace_s if script.ignores_signals and one.exit is None else 0)
        if script.stops is not None:
            raise script.stops
        self.stopped.append((id_, signal))
        self._forget(id_)

    async def instances(self) -> Mapping[str, Seen]:
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("the runtime is away")
        return dict(self._seen)

    async def until_changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        assert timeout_s > 0
        if id_ not in self.running:
            raise Unavailable(f"{id_} does not run")
        return self._script(self._services[id_]).answers(argv)

    async def usage(self, id_: str) -> Usage:
        if id_ not in self.running:
            raise Unavailable(f"{id_} does not run")
        usage = self._script(self._services[id_]).usage
        ran_ns = self._clock.now_ns() - self._seen[id_].started_ns
        return replace(usage, cpu_ns=usage.cpu_ns * max(ran_ns, 0) // NS_PER_S)

    def end(self, id_: str, exit_: Exit) -> None:
        """Let an instance end by itself."""
        one = self._seen.get(id_)
        if one is not None and one.exit is None:
            self._seen[id_] = replace(one, exit=exit_)
            self._changed.set()

    def power_cut(self) -> None:
        """Lose everything, as the vehicle does."""
        for id_ in list(self._seen):
            self._forget(id_)

    def _forget(self, id_: str) -> None:
        self._seen.pop(id_, None)
        timer = self._timers.pop(id_, None)
        if timer is not None:
            timer.cancel()

    def _script(self, instance: Instance) -> Script:
        service = instance.service
        one = self.scripts.get(f"{service.name} {service.version}")
        return one or self.scripts.get(service.name) or Script()
