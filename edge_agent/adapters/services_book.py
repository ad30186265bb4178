"""What the supervisor knows: of each service its record, its instances and what was decided.

Rule 1: nothing is done here, and nothing waits.
Rule 2: whoever changes something here says so (`touch`): that service, and who waits for it, is decided anew.
Rule 3: records change by `keep` only, after they are durable.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.services import change
from edge_agent.services.dependencies import start_order, waited_for_by, waits_for
from edge_agent.services.instance import Root
from edge_agent.services.life import Life
from edge_agent.services.plan import View
from edge_agent.services.records import Record, Wanted, instance_id
from edge_agent.services.told import met
from fairway.clock import Clock
from fairway.services.model import Condition, Runner, Service
from fairway.services.needs import Room, refusals


@dataclass(slots=True)
class Entry:
    """One service."""

    name: str
    record: Record
    lives: dict[str, Life] = field(default_factory=dict)
    versions: dict[str, Service] = field(default_factory=dict)  # of those instances
    roots: dict[str, Root | None] = field(default_factory=dict)  # images that are ready
    entered_ns: int = 0  # when the change came into its phase
    is_begun: bool = False  # the new version was started in this phase
    trouble: str = ""  # why nothing is done: what is decided cannot be made durable
    why: str = ""
    wake_ns: int | None = None
    since_ns: int = 0  # wall clock, of the state that is told
    told: tuple[str, str] = ("", "")
    restarts: int = 0
    failures: int = 0
    out_of_memory: int = 0


class Book:
    """All services of this vehicle."""

    def __init__(self, room: Room, clock: Clock) -> None:
        self.room, self._clock = room, clock
        self.entries: dict[str, Entry] = {}
        self.wanted = Wanted()
        self.held: Mapping[str, str] = {}
        self.refused: Mapping[str, str] = {}
        self._services: dict[str, Service] = {}
        self._order: dict[str, int] = {}
        self._neighbours: dict[str, set[str]] = {}
        self._dirty: set[str] = set()

    def want(self, wanted: Wanted) -> None:
        """Have other services wanted."""
        self.wanted = wanted
        self._services = {one.name: one for one in wanted.services}
        self.refused = refusals(self._services.values(), self.room)
        order = start_order(self._services.values())
        self._order = {name: number for number, name in enumerate(order)}
        for name in order:
            if name not in self.entries:
                self.entries[name] = Entry(name, Record(), entered_ns=self._clock.monotonic_ns())
        self._neighbours = {name: set() for name in order}
        for service in self._services.values():
            for name, _ in service.depends_on:
                self._neighbours[name].add(service.name)
                self._neighbours[service.name].add(name)
        self.touch_all()

    def hold(self, held: Mapping[str, str]) -> None:
        """Have other services held back."""
        changed = {name for name in {*held, *self.held} if held.get(name) != self.held.get(name)}
        now_ns = self._clock.monotonic_ns()
        self.held = held
        for name in changed:
            if name in self.entries:
                # The time in which a new version proves itself begins anew.
                self.entries[name].entered_ns, self.entries[name].is_begun = now_ns, False
            self.touch(name)

    def hold_of(self, name: str) -> str:
        """Return why a service is not to run, "" when it is."""
        return self.refused.get(name, "") or self.held.get(name, "")

    def touch(self, name: str) -> None:
        """Have a service decided anew, and those that may wait for it."""
        self._dirty.add(name)
        self._dirty |= self._neighbours.get(name, set())

    def touch_all(self) -> None:
        """Have all decided anew."""
        self._dirty |= self.entries.keys()

    @property
    def is_dirty(self) -> bool:
        """Whether something is to be decided."""
        return bool(self._dirty)

    def due(self) -> list[str]:
        """Return which services are to be decided, first those that others wait for; they count as decided."""
        now_ns = self._clock.monotonic_ns()
        late = {
            name
            for name, one in self.entries.items()
            if one.wake_ns is not None and one.wake_ns <= now_ns
        }
        names = sorted(
            (self._dirty | late) & self.entries.keys(),
            key=lambda name: (self._order.get(name, len(self._order)), name),
        )
        self._dirty.clear()
        return names

    def next_ns(self) -> int | None:
        """Return when the next one is due."""
        return min(
            (one.wake_ns for one in self.entries.values() if one.wake_ns is not None), default=None
        )

    def view(self, name: str) -> View:
        """Return everything that decides about a service."""
        entry = self.entries[name]
        wanted = self._services.get(name)
        hold = self.hold_of(name)
        return View(
            wanted=wanted,
            hold=hold,
            record=entry.record,
            lives=entry.lives,
            prepared=self._prepared(entry),
            entered_ns=entry.entered_ns,
            waits=lambda service: waits_for(service, self.met),
            stop_waits=self._stop_waits(name) if hold or wanted is None else "",
            now_ns=self._clock.monotonic_ns(),
        )

    def _prepared(self, entry: Entry) -> frozenset[str]:
        versions = change.versions(entry.record)
        processes = [id_ for id_, one in versions.items() if one.runner is Runner.PROCESS]
        return frozenset([*entry.roots, *processes])

    def met(self, name: str) -> frozenset[Condition]:
        """Return which conditions hold of a service that others wait for."""
        entry = self.entries.get(name)
        if entry is None or name not in self._services:
            return frozenset()
        in_force = change.in_force(entry.record)
        if in_force is None or self.hold_of(name):
            return frozenset()
        return met(in_force, entry.lives.get(instance_id(in_force)))

    def _stop_waits(self, name: str) -> str:
        stopping, alive = [], set()
        for other in self._neighbours.get(name, set()) | self._former_users(name):
            entry = self.entries.get(other)
            if entry is None or not any(life.is_there for life in entry.lives.values()):
                continue
            in_force = change.in_force(entry.record)
            if in_force is not None and (other not in self._services or self.hold_of(other)):
                stopping.append(in_force)
                alive.add(other)
        return waited_for_by(name, stopping, alive)

    def _former_users(self, name: str) -> set[str]:
        """Who waited for it and is not wanted any more."""
        gone = self.entries.keys() - self._services.keys()
        return {
            other
            for other in gone
            if (in_force := change.in_force(self.entries[other].record)) is not None
            and any(one == name for one, _ in in_force.depends_on)
        }

    # instances

    def entry_of(self, id_: str) -> Entry | None:
        """Return the service that an instance is of, if it is known."""
        entry = self.entries.get(id_.rpartition(".")[0])
        return entry if entry is not None and id_ in entry.lives else None

    def live(self, entry: Entry, service: Service, life: Life) -> None:
        """Note what happened to an instance."""
        id_ = instance_id(service)
        entry.lives[id_], entry.versions[id_] = life, service
        self.touch(entry.name)

    def keep(self, name: str, record: Record) -> None:
        """Note a record that is durable."""
        entry = self.entries[name]
        if change.phase_of(record) is not change.phase_of(entry.record):
            entry.entered_ns, entry.is_begun = self._clock.monotonic_ns(), False
        entry.record, entry.trouble = record, ""
        self._tidy(entry)
        self.touch(name)

    def _tidy(self, entry: Entry) -> None:
        """Forget instances of which nothing is left and that no record names."""
        known = change.versions(entry.record)
        for id_, life in list(entry.lives.items()):
            if id_ not in known and not life.is_there and not life.is_busy:
                del entry.lives[id_], entry.versions[id_]
                entry.roots.pop(id_, None)

    def forget(self, name: str) -> None:
        """Forget a service of which nothing is left."""
        del self.entries[name]
        self._neighbours.pop(name, None)
        self.touch_all()

    def active(self) -> dict[str, tuple[Entry, Service]]:
        """Return of each service the version that is in force and ready."""
        found = {}
        for name, entry in self.entries.items():
            service = change.in_force(entry.record)
            if service is not None and Condition.HEALTHY in self.met(name):
                found[name] = (entry, service)
        return found

    def images(self) -> frozenset[str]:
        """Return the digests of all images that may be needed again."""
        wanted = [one.image for one in self._services.values() if one.image]
        return frozenset(wanted).union(
            *(change.images(one.record) for one in self.entries.values())
        )

    def missing_images(self) -> Iterator[str]:
        """Yield the digests of images that are wanted and not ready."""
        for name, service in self._services.items():
            entry = self.entries.get(name)
            if service.image and entry is not None and instance_id(service) not in entry.roots:
                yield service.image


def forgiven(book: Book, names: Iterable[str]) -> dict[str, Record]:
    """Return the records of services whose wanted versions are to be tried again although they failed."""
    changed = {}
    for name in names:
        entry = book.entries.get(name)
        if entry is None:
            continue
        wanted = next(one for one in book.wanted.services if one.name == name)
        record = change.forgiven(entry.record, instance_id(wanted))
        if record != entry.record:
            changed[name] = record
        for id_, life in entry.lives.items():
            entry.lives[id_] = replace(life, retry_ns=0, failures=0, is_hopeless=False)
        book.touch(name)
    return changed
