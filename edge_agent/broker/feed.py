"""What buses say, on its way into the vehicle's data: blocks as the mapping makes them.

Rule 1: a block costs the same however many samples it has: no loop over samples.
Rule 2: a value that the mapping refused leaves its signal invalid; where the sender said it has none, without.
Rule 3: attributes begin with the default of the catalogue, as with KUKSA.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.history import History
from edge_agent.broker.signals import signals_of
from edge_agent.broker.store import nothing
from edge_agent.broker.values import check
from edge_agent.broker.vehicle import VehicleData, one
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.mapping import Mapping
from fairway.catalog.model import Catalog
from fairway.clock import Clock
from fairway.errors import BadInput
from fairway.samples import SampleBlock, SignalTable


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of the past is kept."""

    count: int
    age_s: float
    max_bytes: int


class Feed:
    """Puts what buses say where apps find it."""

    def __init__(self, mapping: Mapping, data: VehicleData, clock: Clock) -> None:
        self._mapping, self._clock = mapping, clock
        self.data = data
        self._numbers = data.signals.numbers_of(mapping.table)
        self._buses = [data.providers.open_bus(name) for name in mapping.buses]
        numbers = np.array([bus.number for bus in self._buses], np.int32)
        self._providers = numbers[mapping.bus_of_row]
        self._refused, self._without = mapping.refused_rows()
        on_change = mapping.is_on_change | data.signals.is_on_change[self._numbers]
        timed = (mapping.interval_ns > 0) & ~on_change
        data.store.expect(self._numbers[on_change], 0)
        data.store.expect(self._numbers[timed], mapping.interval_ns[timed])

    def take(self, block: SampleBlock, frames: FrameBlock) -> None:
        """Take a block and the frames it was made of, and note what was refused since the last one."""
        now_ns = self._clock.monotonic_ns()
        for bus in np.unique(frames.bus).tolist():
            self.data.store.heard(self._buses[bus].number, now_ns=now_ns)
        self.data.take_block(block, self._numbers, self._providers, now_ns=now_ns)
        refused, without = self._mapping.refused_rows()
        if not (np.array_equal(refused, self._refused) and np.array_equal(without, self._without)):
            self._note(block, now_ns, refused > self._refused, without > self._without)
            self._refused, self._without = refused, without

    def end(self) -> None:
        """Note that the buses say nothing any more."""
        for bus in self._buses:
            self.data.leave(bus)

    def _note(
        self,
        block: SampleBlock,
        now_ns: int,
        is_refused: NDArray[np.bool_],
        is_without: NDArray[np.bool_],
    ) -> None:
        has_good = np.zeros(len(is_refused), np.bool_)
        has_good[block.signal] = True
        self.data.store.invalidate(self._numbers[is_refused & ~has_good])
        gone = is_without & ~has_good
        arrived = nothing(self._numbers[gone], self._clock.now_ns())
        self.data.publish(arrived, provider=self._providers[gone], now_ns=now_ns)


def data_of(
    catalog: Catalog, table: SignalTable, history: HistoryLimits, clock: Clock
) -> VehicleData:
    """Return the data of a vehicle, of which nothing is known yet but what the catalogue says."""
    signals = signals_of(catalog, table)
    data = VehicleData(
        signals,
        History(
            len(signals), count=history.count, age_s=history.age_s, max_bytes=history.max_bytes
        ),
    )
    catalogue = data.providers.publisher("catalogue")
    for number, leaf in enumerate(signals):
        if leaf.type != "attribute" or leaf.default is None:
            continue
        try:
            value = check(data.limits[number], leaf.default)
        except BadInput:
            continue  # the catalogue's reader tells of it
        arrived = one(
            number,
            value,
            is_number=bool(signals.is_number[number]),
            time_ns=clock.now_ns(),
            source_ns=0,
        )
        data.publish(arrived, provider=catalogue, now_ns=clock.monotonic_ns())
    return data
