"""What campaigns may collect: what the buses say, and texts that only campaigns ask for.

Rule 1: the first rows are those of the mapping, so that its blocks need no other numbers.
Rule 2: a table only grows: a campaign that goes takes no row with it.
Rule 3: a text is added for what a campaign fetches, and for what its custom functions may say.
"""

from collections.abc import Iterable, Iterator

from fairway.campaign.model import Campaign, ConditionBased
from fairway.signals import Kind, Signal, SignalTable

_FUNCTION = "custom_function"


def widened(table: SignalTable, campaigns: Iterable[Campaign]) -> SignalTable:
    """Return `table`, or a wider one where campaigns ask for more."""
    known = {signal.name for signal in table}
    more = {
        name: None
        for campaign in campaigns
        for name in _texts(campaign)
        if name not in known and "*" not in name
    }
    if not more:
        return table
    return SignalTable((*table, *(Signal(name, Kind.TEXT) for name in more)))


def _texts(campaign: Campaign) -> Iterator[str]:
    """Yield the signals whose values are texts that no bus says."""
    for fetch in campaign.fetches or ():
        yield fetch.name
    scheme = campaign.scheme
    if isinstance(scheme, ConditionBased) and _FUNCTION in scheme.expression:
        for signal in campaign.signals or ():
            yield signal.name
