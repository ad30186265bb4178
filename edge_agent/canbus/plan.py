"""The compiled table: what all buses' databases say, worked out once so that a frame costs nanoseconds.

    BusDatabases ... -> compile_plan -> Plan: numbered signals + flat table -> decoder.make_decoder

Rule 1: the bus is part of a message's key; on one bus the first database that names an id keeps it.
Rule 2: a J1939 database is matched by parameter group; where it gives one group several ids (say, one for
        each source address), the whole id is tried first.
Rule 3: nothing odd in a database stops the plan: it is left out and told in `problems`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.canbus import plan_table
from edge_agent.canbus.j1939 import pgn_of
from edge_agent.canbus.model import Database, Message, Problem, Signal
from edge_agent.canbus.plan_multiplex import Rows, add_message
from edge_agent.canbus.plan_table import Table
from fairway.errors import BadInput

# A frame block numbers its buses with one byte.
PLAN_MAX_BUSES = 256

# The largest real corpus (96 databases at once) has 46,461 signals; beyond this the numbers of a wire
# dictionary and the memory of an agent are no longer those of one vehicle.
PLAN_MAX_SIGNALS = 1_000_000


@dataclass(frozen=True, slots=True)
class BusDatabases:
    """One bus of the vehicle and the databases that describe its traffic, the most trusted first."""

    name: str
    databases: tuple[Database, ...]


@dataclass(frozen=True, slots=True)
class PlanSignal:
    """A signal of a message on a bus; `number` is its position in the plan."""

    number: int
    bus: int  # position in the list of buses
    bus_name: str
    message: Message
    signal: Signal
    name: str  # Bus.Message.Signal, unique in the plan: repetitions end in #2, #3 ...
    short_name: str  # the signal's own name, unique in its message


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Numbered signals, and the table that finds their values."""

    buses: tuple[str, ...]
    signals: tuple[PlanSignal, ...]
    table: Table
    problems: tuple[Problem, ...]


def compile_plan(buses: Sequence[BusDatabases]) -> Plan:
    """Return the plan of `buses`.  Raises BadInput when they cannot be told apart or are too many."""
    if len(buses) > PLAN_MAX_BUSES:
        raise BadInput(f"{len(buses)} buses are given; a frame can name only {PLAN_MAX_BUSES}")
    names = [bus.name for bus in buses]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two buses are called {name}: give each its own name")
    compiler = _Compiler()
    for number, bus in enumerate(buses):
        compiler.add_bus(number, bus)
    return Plan(
        tuple(names),
        tuple(compiler.signals),
        compiler.rows.table(),
        tuple(Problem(0, "warning", text) for text in compiler.problems),
    )


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a key is."""

    database: str
    message: Message

    def __str__(self) -> str:
        return f"{self.message.name} of {self.database}"


class _Compiler:
    """Collects signals and rows, bus by bus."""

    def __init__(self) -> None:
        self.signals: list[PlanSignal] = []
        self.rows = Rows()
        self.problems: list[str] = []
        self._names: set[str] = set()

    def add_bus(self, bus: int, databases: BusDatabases) -> None:
        """Add every message of a bus that no earlier database has claimed."""
        owners: dict[int, _Owner] = {}
        for database in databases.databases:
            earlier = dict(owners)
            for message in database.messages:
                self._add_message(bus, databases.name, database, message, (earlier, owners))

    def _add_message(
        self,
        bus: int,
        bus_name: str,
        database: Database,
        message: Message,
        known: tuple[dict[int, _Owner], dict[int, _Owner]],
    ) -> None:
        earlier, owners = known
        owner = _Owner(database.name, message)
        where = f"{bus_name}: {owner} (id 0x{message.frame_id:x})"
        keys = []
        holder = None
        for key in _keys(bus, message, by_pgn=database.is_j1939, others=earlier):
            found = owners.get(key)
            if found is None:
                keys.append(key)
            holder = holder or found
        if not keys:
            self.problems.append(f"{where} is hidden by {holder}, which came first")
            return
        if holder in earlier.values():
            self.problems.append(f"{where} is partly hidden by {holder}, which came first")
        first = len(self.signals)
        self._add_signals(bus, bus_name, message)
        run = add_message(
            self.rows, message, first, lambda text: self.problems.append(f"{where}: {text}")
        )
        for key in keys:
            owners[key] = owner
            self.rows.keys.append((key, run, message.length))

    def _add_signals(self, bus: int, bus_name: str, message: Message) -> None:
        if len(self.signals) + len(message.signals) > PLAN_MAX_SIGNALS:
            raise BadInput(
                f"the databases of all buses have more than {PLAN_MAX_SIGNALS} signals: give fewer databases"
            )
        short_names: set[str] = set()
        for signal in message.signals:
            short_name = unique_name(signal.name, short_names)
            name = unique_name(f"{bus_name}.{message.name}.{short_name}", self._names)
            number = len(self.signals)
            self.signals.append(
                PlanSignal(number, bus, bus_name, message, signal, name, short_name)
            )


def _keys(bus: int, message: Message, *, by_pgn: bool, others: dict[int, _Owner]) -> Iterator[int]:
    """Yield the keys a message wants; those that an earlier database would answer are marked by it."""
    exact = plan_table.id_key(bus, message.frame_id, is_extended=message.is_extended)
    if not message.is_extended:
        yield exact
        return
    group = plan_table.pgn_key(bus, pgn_of(message.frame_id))
    if by_pgn:
        yield group
    if group not in others:
        yield exact
    elif not by_pgn:
        yield group


def unique_name(name: str, taken: set[str]) -> str:
    """Return `name`, or `name#2`, `name#3` ... where it is taken; the answer is taken from then on."""
    answer, count = name, 1
    while answer in taken:
        count += 1
        answer = f"{name}#{count}"
    taken.add(answer)
    return answer


def short_names(plan: Plan) -> tuple[str, ...]:
    """Return the short name of every signal, in order of number."""
    return tuple(entry.short_name for entry in plan.signals)
