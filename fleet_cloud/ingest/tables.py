"""The signal tables that batches refer to, by dictionary id: in memory the recent ones, in the registry all.

Rule 1: a dictionary is durable before a batch is read with it, and is never changed: its id is its content.
Rule 2: a vehicle needs a few dictionaries in its life, one for each version of its software; one that sends
them without end is not let fill the registry.
Rule 3: one id of a tenant is one SignalTable object for as long as it stays in memory, so stores may remember
what they made of it.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.signals import Dictionary, SignalTable
from fairway.wire.telemetry import request_from_bytes
from fleet_cloud.ingest.records import Dictionaries, DictionaryKey

# Vehicles of one model and software share a dictionary: a fleet has tens, of some 1,000 signals each.  A signal
# takes about 300 bytes here, so a fleet (or a hostile vehicle) of any diversity takes 150 MB at most.
SIGNALS_MAX = 500_000

# New dictionaries of one vehicle in the life of this process: a hundred software updates between two restarts.
NEW_MAX_PER_VEHICLE = 100


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A dictionary, whose message it was, and the message."""

    dictionary: Dictionary
    vehicle: str
    message: bytes


class Tables:
    """A bounded memory of signal tables in front of the kept dictionaries."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        self._dictionaries = dictionaries
        self._recent: OrderedDict[DictionaryKey, SignalTable] = OrderedDict()
        self._signals = 0
        self._new_of: Counter[str] = Counter()

    def keep(self, arrived: Mapping[DictionaryKey, Arrived]) -> int:
        """Make dictionaries durable that are not yet, and return how many were new here."""
        fresh: dict[DictionaryKey, Arrived] = {}
        new_of = self._new_of.copy()
        for key, one in arrived.items():
            if key not in self._recent and new_of[one.vehicle] < NEW_MAX_PER_VEHICLE:
                new_of[one.vehicle] += 1
                fresh[key] = one
        if fresh:
            self._dictionaries.keep({key: one.message for key, one in fresh.items()})
            self._new_of = new_of
        for key, one in fresh.items():
            self._remember(key, one.dictionary.table)
        return len(fresh)

    def load(self, keys: Iterable[DictionaryKey]) -> dict[DictionaryKey, SignalTable]:
        """Return the tables of those `keys` that are known."""
        found = {}
        missing = []
        for key in keys:
            if key in self._recent:
                self._recent.move_to_end(key)
                found[key] = self._recent[key]
            else:
                missing.append(key)
        if missing:
            for key, data in self._dictionaries.load(missing).items():
                table = _table(data)
                if table is not None:
                    found[key] = table
                    self._remember(key, table)
        return found

    def _remember(self, key: DictionaryKey, table: SignalTable) -> None:
        self._recent[key] = table
        self._signals += len(table)
        while self._signals > SIGNALS_MAX and len(self._recent) > 1:
            _, oldest = self._recent.popitem(last=False)
            self._signals -= len(oldest)


def _table(data: bytes) -> SignalTable | None:
    # What was kept was readable then; a row damaged since counts as unknown, and the vehicle sends it anew.
    try:
        content = request_from_bytes(data, vehicle="kept")
    except BadInput:
        return None
    return content.table if isinstance(content, Dictionary) else None
