"""The default collection: every sample of the table, thinned by interval and by change.

A drive in samples of one signal, every 100 ms and on change:

    time ms    0   40   80   120   200   240   340
    value      5    6    6     6     5     5     5
    kept       x                x          x            the change of 40 is sent at 120, that of 200 at 240

Rule 1: conditions compare with the last *kept* sample, so the last change always goes: with the signal's
        next sample after the interval.  A signal that falls silent inside the interval stays at its last
        kept value: nothing is made up that no frame said.
Rule 2: texts are compared as texts; their numbers differ from block to block.
"""

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.sift import Sieve, Sift
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput
from fairway.samples import Kind, SampleBlock, SignalTable

# All value tables of a car together have a few thousand texts; free texts beyond this cost one repeated
# sample for each text signal, not memory without end.
TEXTS_MAX = 65_536


class Collection:
    """Keeps the first sample of a signal, then at most one each `interval_ms`, on change where asked."""

    def __init__(
        self,
        table: SignalTable,
        interval_ms: int,
        on_change: bool,  # noqa: FBT001 - the interface the agent was promised
        *,
        sift: Sift | None = None,
    ) -> None:
        self._table = table
        self._is_text = np.array([signal.kind is Kind.TEXT for signal in table], np.bool_)
        self._has_texts = bool(self._is_text.any())
        self._texts: dict[str, int] = {}
        self._sieve = Sieve(
            np.full(len(table), interval_ms * NS_PER_MS, np.int64),
            np.full(len(table), on_change, np.bool_),
            sift=sift,
        )

    def collect(self, block: SampleBlock) -> SampleBlock:
        """Return the samples of `block` that are kept, in their order."""
        if block.table is not self._table:
            raise BadInput("a collection takes blocks of its own signal table only")
        keep = self._sieve.kept(block.signal, block.time_ns, self._comparable(block))
        return block if bool(keep.all()) else block.take(keep)

    def _comparable(self, block: SampleBlock) -> NDArray[np.float64]:
        if not self._has_texts:
            return block.value
        is_text = self._is_text[block.signal]
        if not bool(is_text.any()):
            return block.value
        if len(self._texts) + len(block.texts) > TEXTS_MAX:
            self._texts.clear()
            self._sieve.last_value[self._is_text] = -1.0  # the number of no text
        texts = self._texts
        number = np.array([texts.setdefault(text, len(texts)) for text in block.texts], np.float64)
        value = block.value.copy()
        value[is_text] = number[value[is_text].astype(np.intp)]
        return value
