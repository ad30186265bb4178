"""What a service did on a recorded drive, and whether that was what is expected of it.

    published, statuses, explanations + expectations > findings: sentences; none of them is a pass

    signals:                                     an expectation file: YAML or JSON
      - {path: Vehicle.Private.TyreWatch.IsLeaking, last: true, count_min: 10}
      - {path: Vehicle.Private.TyreWatch.LeakRate, min: 0, max: 600}
      - {path: Vehicle.Private.BatteryHealth.InternalResistance, last: 85, tolerance: 6}
    memory_max_bytes: 50000000

Rule 1: a crash and a denial are findings whether or not a file says so.
Rule 2: an expectation of a signal that was never published is not met.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput

FILE_MAX_BYTES = 256 * 1024
Value = bool | float | str
_KEYS = frozenset(("path", "last", "tolerance", "min", "max", "count_min"))


@dataclass(frozen=True, slots=True)
class Published:
    """What came of one signal; numbers also as the least and the greatest."""

    path: str
    count: int
    first: Value
    last: Value
    least: float | None = None
    greatest: float | None = None

    def with_one(self, value: Value) -> "Published":
        """Return it with one more value."""
        least, greatest = self.least, self.greatest
        if isinstance(value, float) and least is not None and greatest is not None:
            least, greatest = min(least, value), max(greatest, value)
        return Published(self.path, self.count + 1, self.first, value, least, greatest)


def first_of(path: str, value: Value) -> Published:
    """Return what is published of a signal after its first value."""
    number = value if isinstance(value, float) else None
    return Published(path, 1, value, value, number, number)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one signal."""

    path: str
    last: Value | None = None
    tolerance: float = 0.0
    least: float | None = None
    greatest: float | None = None
    count_min: int = 1


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected of a drive."""

    signals: tuple[Expected, ...] = ()
    memory_max_bytes: int | None = None  # of each service, at its peak


@dataclass(frozen=True, slots=True)
class Ran:
    """How one service ran."""

    name: str
    version: str
    state: str
    why: str
    restarts: int
    failures: int
    out_of_memory: int
    denied: tuple[str, ...]
    memory_peak_bytes: int
    cpu_peak: float  # of one core
    last_exit: str = ""
    was_ready: bool = False


def expectations_of(text: str | bytes, *, file: str) -> Expectations:
    """Return what a file expects.  Raises BadInput."""
    if len(text) > FILE_MAX_BYTES:
        raise BadInput(f"{file} has over {FILE_MAX_BYTES} bytes: those are no expectations")
    try:
        said = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8: {error.reason}") from error
    tree = yaml_tree(said, name=file, problems=[])
    if not isinstance(tree, dict) or tree.keys() - {"signals", "memory_max_bytes"}:
        raise BadInput(f"{file}: give a table of signals and memory_max_bytes")
    signals = tree.get("signals", [])
    if not isinstance(signals, list):
        raise BadInput(f"{file}: signals is no list")
    memory = tree.get("memory_max_bytes")
    if memory is not None and (not isinstance(memory, int) or isinstance(memory, bool)):
        raise BadInput(f"{file}: memory_max_bytes is no number of bytes")
    return Expectations(
        tuple(_expected(one, f"{file}: signals[{n}]") for n, one in enumerate(signals)), memory
    )


def findings(
    expected: Expectations, published: Mapping[str, Published], ran: Sequence[Ran]
) -> list[str]:
    """Return what was wrong, a sentence each."""
    return [
        *(sentence for one in ran for sentence in _of_run(one, expected)),
        *(
            sentence
            for one in expected.signals
            for sentence in _of_signal(one, published.get(one.path))
        ),
    ]


def _of_run(one: Ran, expected: Expectations) -> Iterator[str]:
    if one.out_of_memory:
        yield f"{one.name} ended {one.out_of_memory} times for lack of memory"
    elif one.failures or one.state.startswith("Failed"):
        yield f"{one.name} crashed {max(one.failures, 1)} times: {one.last_exit or one.why or one.state}"
    elif not one.was_ready and not one.state.startswith("Succeeded"):
        yield f"{one.name} was never ready: {one.why or one.state}"
    for what in one.denied:
        yield f"{one.name} was denied {what}"
    most = expected.memory_max_bytes
    if most is not None and one.memory_peak_bytes > most:
        yield f"{one.name} took {one.memory_peak_bytes} bytes of memory, {most} at most are expected"


def _of_signal(one: Expected, came: Published | None) -> Iterator[str]:
    if came is None:
        yield f"{one.path} was never published"
        return
    if came.count < one.count_min:
        yield f"{one.path} was published {came.count} times, {one.count_min} at least are expected"
    if one.last is not None and not _is_close(one.last, came.last, one.tolerance):
        around = f" within {one.tolerance:g}" if one.tolerance else ""
        yield f"{one.path} ended as {_said(came.last)}, {_said(one.last)}{around} is expected"
    if one.least is None and one.greatest is None:
        return
    if came.least is None or came.greatest is None:
        yield f"{one.path} is no number, a range is expected"
        return
    if one.least is not None and came.least < one.least:
        yield f"{one.path} fell to {came.least:g}, {one.least:g} at least is expected"
    if one.greatest is not None and came.greatest > one.greatest:
        yield f"{one.path} rose to {came.greatest:g}, {one.greatest:g} at most is expected"


def _is_close(wanted: Value, came: Value, tolerance: float) -> bool:
    if isinstance(wanted, float) and isinstance(came, float):
        return abs(wanted - came) <= tolerance
    return wanted == came and isinstance(wanted, bool) == isinstance(came, bool)


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _expected(said: Any, place: str) -> Expected:
    if not isinstance(said, dict) or not isinstance(said.get("path"), str):
        raise BadInput(f"{place}: give a table with a path")
    if unknown := said.keys() - _KEYS:
        raise BadInput(
            f"{place}: {', '.join(sorted(map(str, unknown)))}: known are {', '.join(sorted(_KEYS))}"
        )
    last = said.get("last")
    if not isinstance(last, bool | int | float | str | None):
        raise BadInput(f"{place}: last is no value")
    count = said.get("count_min", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise BadInput(f"{place}: count_min is {count!r:.40}; choose 1 or more")
    tolerance = _number(said, "tolerance", place)
    return Expected(
        said["path"],
        float(last) if isinstance(last, int | float) and not isinstance(last, bool) else last,
        tolerance or 0.0,
        _number(said, "min", place),
        _number(said, "max", place),
        count,
    )


def _number(said: dict[str, Any], key: str, place: str) -> float | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadInput(f"{place}: {key} is {value!r:.40}; give a number")
    return float(value)
