"""Numbers of a decoder manifest <-> names and kinds of signals.

    SignalNames: a signal table of ours, and the number of each of its rows

Rule 1: FleetWise's wire has numbers only.  The cloud that made a manifest knows the names; a vehicle that was
        sent one does not, and calls signals `FleetWise.<number>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.fleetwise.decoders import DecoderManifest
from fairway.signals import Kind, Signal, SignalTable

NAMELESS = "FleetWise."


@dataclass(frozen=True, slots=True, eq=False)
class SignalNames:
    """The signals of a manifest: row n of `table` has the number `ids[n]`; `ids` ascend."""

    table: SignalTable
    ids: NDArray[np.int64]
    _names: Mapping[int, str] = field(init=False, repr=False)
    _numbers: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.table) or bool(np.any(np.diff(self.ids) <= 0)):
            raise BadInput("numbers of signals ascend, one for each row of their table")
        numbers = {
            signal.name: number
            for signal, number in zip(self.table, self.ids.tolist(), strict=True)
        }
        object.__setattr__(self, "_numbers", numbers)
        object.__setattr__(self, "_names", {number: name for name, number in numbers.items()})

    def id(self, name: str) -> int | None:
        """Return the number of the signal called `name`; None: the manifest has none."""
        return self._numbers.get(name)

    def name(self, number: int) -> str | None:
        """Return what the signal with `number` is called; None: the manifest has none."""
        return self._names.get(number)

    def kind(self, name: str) -> Kind | None:
        """Return what the values of a signal are; None: the manifest has none of that name."""
        return self.table[self.table.number(name)].kind if name in self._numbers else None

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the row of each number, -1 where the manifest has none."""
        if not len(self.ids):
            return np.full(len(numbers), -1, np.intp)
        at = np.searchsorted(self.ids, numbers)
        at[at == len(self.ids)] = 0
        return np.where(self.ids[at] == numbers, at, -1)


def names_of(manifest: DecoderManifest, called: Mapping[int, str] | None = None) -> SignalNames:
    """Return the names of a manifest's signals: those of `called` (number -> name), or of their own.

    Structured signals have no samples of ours, and no name.  Raises BadInput for a name that stands twice.
    """
    called = called or {}
    found: dict[int, Signal] = {}
    for signal in manifest.plain:
        name = called.get(signal.id, f"{NAMELESS}{signal.id}")
        found[signal.id] = Signal(name, signal.primitive.kind)
    ids = sorted(found)
    return SignalNames(SignalTable(tuple(found[one] for one in ids)), np.array(ids, np.int64))
