"""Recorded drives as the samples an agent with these settings would have made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters.log_formats import open_log
from edge_agent.canbus import database
from edge_agent.canbus.decoder import Decoder, make_decoder
from edge_agent.canbus.mapping import Mapping, compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.config import Bus, Signals
from fairway.catalog.load import load_catalog
from fairway.errors import BadInput
from fairway.samples import SampleBlock, SignalTable


@dataclass(frozen=True, slots=True)
class Drives:
    """What turns logs into samples; each log begins with a mapping of its own, as an agent's start does."""

    buses: tuple[Bus, ...]
    signals: Signals
    unmapped: bool  # whether signals without a mapping are collectable too

    def table(self) -> SignalTable:
        """Return everything that can be collected.  Raises BadInput."""
        table = self._made()[1].table
        if not len(table):
            raise BadInput(
                "no signal can be collected: give an overlay that maps some, or collect all"
            )
        return table

    def blocks(self, log: Path, table: SignalTable) -> Iterator[SampleBlock]:
        """Yield the samples of a log, over `table`.  Raises BadInput."""
        decoder, mapping = self._made()
        reader = open_log(log, {bus.name: number for number, bus in enumerate(self.buses)})
        try:
            for frames in reader:
                mapped = mapping.apply(decoder.decode(frames), frames)
                yield SampleBlock(table, mapped.signal, mapped.time_ns, mapped.value, mapped.texts)
        finally:
            reader.close()

    def _made(self) -> tuple[Decoder, Mapping]:
        plan = compile_plan(
            [
                BusDatabases(bus.name, tuple(database.load(path) for path in bus.databases))
                for bus in self.buses
            ]
        )
        catalog = load_catalog([*self.signals.catalogs, *self.signals.overlays])
        return make_decoder(plan), compile_mapping(plan, catalog, unmapped=self.unmapped)
