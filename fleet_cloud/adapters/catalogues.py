"""What vehicles can collect: their catalogues are dictionaries like any, kept where those of telemetry are."""

from collections import OrderedDict

from fairway.errors import BadInput
from fairway.signals import Dictionary, SignalTable
from fairway.wire.telemetry import dictionary_to_bytes, request_from_bytes
from fleet_cloud.ingest.records import Dictionaries, DictionaryKey

# A fleet has tens of catalogues, of some 10,000 signals each: 3 MB apiece in memory.
CATALOGUES_MAX = 64


class KeptCatalogues:
    """A bounded memory of catalogues in front of the kept dictionaries.  One thread at a time writes."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        self._dictionaries = dictionaries
        self._recent: OrderedDict[DictionaryKey, SignalTable] = OrderedDict()

    def keep_catalogue(self, tenant: str, catalogue: Dictionary) -> None:
        key = DictionaryKey(tenant, catalogue.id)
        if self.table(tenant, catalogue.id) is None:
            self._dictionaries.keep({key: dictionary_to_bytes(catalogue)})
            self._remember(key, catalogue.table)

    def table(self, tenant: str, catalogue: bytes) -> SignalTable | None:
        key = DictionaryKey(tenant, catalogue)
        known = self._recent.get(key)
        if known is None:
            known = _table(self._dictionaries.load([key]).get(key))
            if known is not None:
                self._remember(key, known)
        return known

    def _remember(self, key: DictionaryKey, table: SignalTable) -> None:
        self._recent[key] = table
        if len(self._recent) > CATALOGUES_MAX:
            self._recent.popitem(last=False)


def _table(data: bytes | None) -> SignalTable | None:
    try:
        content = None if data is None else request_from_bytes(data, vehicle="kept")
    except BadInput:  # damaged since it was kept: the vehicle is asked for it anew
        return None
    return content.table if isinstance(content, Dictionary) else None
