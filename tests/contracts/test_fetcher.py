"""What everything that asks the vehicle promises: a text, or one sentence that says why not."""

import pytest

from edge_agent.adapters.campaign_fetches import NobodyToAsk
from edge_agent.telemetry.fetching import Fetcher
from fairway.errors import Unavailable


@pytest.fixture
def silent() -> Fetcher:
    return NobodyToAsk()


async def test_who_knows_no_ecu_says_so(silent: Fetcher):
    with pytest.raises(Unavailable, match="knows no ECU to ask"):
        await silent.fetch('custom_function("DTC_QUERY", -1, 2, -1)')
    with pytest.raises(Unavailable, match="knows no ECU to ask for trouble codes"):
        await silent.active_dtcs()
