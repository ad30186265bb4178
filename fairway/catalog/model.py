"""What a catalogue says, as frozen dataclasses: Catalog -> Leaf -> how it meets the CAN bus.

    Leaf Vehicle.Speed, float, km/h
    '- dbc2vss   parts {x: SignalRef DI_uiSpeed}, transform none, every 100 ms

Rule 1: a leaf is what all files together say about one VSS path; branches are implied by the paths.
Rule 2: nothing here knows a bus: names of signals are as written, `edge_agent.canbus.mapping` resolves them.
Rule 3: what is odd in a file is a `MappingProblem` beside the catalogue, never a silent guess.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str

# What the KUKSA CAN provider assumes where a mapping says nothing.
DEFAULT_INTERVAL_MS = 1000
# The longest that parts of one value may lie apart where a mapping says nothing: a slow message's cycle.
DEFAULT_MAX_AGE_MS = 1000

INTEGER_RANGES: dict[str, tuple[int, int]] = {
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}
FLOAT_RANGES: dict[str, tuple[float, float]] = {
    "float": (-3.4028234663852886e38, 3.4028234663852886e38),
    "double": (-1.7976931348623157e308, 1.7976931348623157e308),
}


@dataclass(frozen=True, slots=True)
class MappingProblem:
    """Something in a catalogue or mapping that cannot be as it is written."""

    path: str  # the VSS path, or the file where no path is meant
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A condition on the frame: the raw value of a signal of the same message."""

    signal: str  # "" is the multiplexer of the signal itself
    value: int


@dataclass(frozen=True, slots=True)
class SignalRef:
    """Which signal of which message on which bus is meant, as far as the mapping says."""

    signal: str  # Signal, Message.Signal or Bus.Message.Signal
    message: str = ""
    bus: str = ""
    pgn: int | None = None  # SAE J1939 parameter group number
    selectors: tuple[Selector, ...] = ()


@dataclass(frozen=True, slots=True)
class MathTransform:
    """A formula over the parts of a mapping; a single signal is called x."""

    text: str


@dataclass(frozen=True, slots=True)
class TableTransform:
    """The first row whose `from` equals the signal's value (its text, or its number) says the result."""

    rows: tuple[tuple[Scalar, Scalar], ...]


Transform: TypeAlias = MathTransform | TableTransform


@dataclass(frozen=True, slots=True)
class Dbc2Vss:
    """How CAN signals become the value of a leaf."""

    parts: tuple[
        tuple[str, SignalRef], ...
    ]  # by the names the formula uses; one signal is ("x", ref)
    transform: Transform | None = None
    interval_ms: int = DEFAULT_INTERVAL_MS
    on_change: bool = False
    max_age_ms: int = DEFAULT_MAX_AGE_MS  # of the oldest part when the last one arrives


@dataclass(frozen=True, slots=True)
class Vss2Dbc:
    """How a target value of a leaf becomes a CAN signal."""

    target: SignalRef
    transform: Transform | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One signal of the Vehicle Signal Specification, with its mapping."""

    path: str
    datatype: str  # uint8 ... double, boolean, string, or one of these with []
    type: str  # sensor, actuator or attribute
    unit: str = ""
    min: float | None = None
    max: float | None = None
    allowed: tuple[Scalar, ...] = ()
    default: Scalar | tuple[Scalar, ...] | None = None
    description: str = ""
    change_type: str = "continuous"  # or onchange, static (x-kuksa-changetype)
    pattern: str = ""
    dbc2vss: Dbc2Vss | None = None
    vss2dbc: Vss2Dbc | None = None
    comment: str = ""
    deprecation: str = ""


@dataclass(frozen=True)
class Catalog:
    """All leaves, in the order the files name them, and what was odd in the files."""

    leaves: tuple[Leaf, ...]
    problems: tuple[MappingProblem, ...] = ()
    _index: dict[str, Leaf] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {leaf.path: leaf for leaf in self.leaves})

    def __len__(self) -> int:
        return len(self.leaves)

    def __iter__(self) -> Iterator[Leaf]:
        return iter(self.leaves)

    def get(self, path: str) -> Leaf | None:
        """Return the leaf at `path`, or None."""
        return self._index.get(path)

    @property
    def mapped(self) -> tuple[Leaf, ...]:
        """The leaves that CAN signals feed."""
        return tuple(leaf for leaf in self.leaves if leaf.dbc2vss is not None)
