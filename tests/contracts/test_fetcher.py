"""What everything that asks the vehicle for a campaign promises: a text, codes, or who did not answer."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from edge_agent.adapters.campaign_fetches import NobodyToAsk
from edge_agent.adapters.memory import MemoryEcus
from edge_agent.diagnostics.ecu import Ecu
from edge_agent.diagnostics.fetcher import Fetcher as EcuFetcher
from edge_agent.telemetry.fetching import Fetcher
from fairway.errors import BadInput, Unavailable
from simulators.ecu import SimulatedEcu
from simulators.ecu_node import Fault
from tests.edge_agent.adapters.ecu_rig import ENGINE, GEARBOX, rig

QUERY = 'custom_function("DTC_QUERY", -1, 2, -1)'


def troubled(ecus: Mapping[str, SimulatedEcu]) -> None:
    ecus["engine"].set_status("UDS1", 0xAF)
    ecus["engine"].set_status("OBD1", 0x2F)


@contextlib.asynccontextmanager
async def memory(_: Path, fault: Fault = Fault.NONE) -> AsyncIterator[Fetcher]:
    simulated = {table.name: SimulatedEcu(table) for table in (ENGINE, GEARBOX)}
    troubled(simulated)

    def silent(request: bytes, *, is_functional: bool) -> None:
        assert request
        assert is_functional in (True, False)

    yield EcuFetcher(
        MemoryEcus(
            {
                Ecu(name, number, is_obd=True): silent if fault is Fault.SILENT else ecu.answer
                for number, (name, ecu) in enumerate(simulated.items(), 1)
            }
        )
    )


@contextlib.asynccontextmanager
async def bus(path: Path, fault: Fault = Fault.NONE) -> AsyncIterator[Fetcher]:
    faults = {"engine": fault, "gearbox": fault}
    async with rig(path, ENGINE, GEARBOX, faults=faults) as made:
        troubled(made.simulated)
        yield EcuFetcher(made.ecus)


@contextlib.asynccontextmanager
async def nobody(_: Path, fault: Fault = Fault.SILENT) -> AsyncIterator[Fetcher]:
    assert fault is Fault.SILENT
    yield NobodyToAsk()


Opener = Callable[..., AbstractAsyncContextManager[Fetcher]]
answering = pytest.mark.parametrize("opened", [memory, bus])
silent = pytest.mark.parametrize("opened", [memory, bus, nobody])


@answering
async def test_what_is_fetched_is_a_text(opened: Opener, tmp_path):
    async with opened(tmp_path) as fetcher:
        tree = json.loads(await fetcher.fetch(QUERY))

    assert [one["ECUID"] for one in tree["DetectedDTCs"]] == ["01"]
    assert tree["DetectedDTCs"][0]["DTCAndSnapshot"]["dtcCodes"][0]["DTC"] == "AAA123"


@answering
async def test_nothing_new_is_the_empty_text(opened: Opener, tmp_path):
    async with opened(tmp_path) as fetcher:
        assert await fetcher.fetch('custom_function("DTC_QUERY", 2, 2, -1)') == ""


@answering
async def test_active_codes_have_their_names(opened: Opener, tmp_path):
    async with opened(tmp_path) as fetcher:
        assert await fetcher.active_dtcs() == ("P0123",)


@answering
@pytest.mark.parametrize("action", ["", "DTC_QUERY", 'custom_function("HORN", 1, 2, -1)'])
async def test_an_action_that_there_is_not_is_refused(opened: Opener, action, tmp_path):
    async with opened(tmp_path) as fetcher:
        with pytest.raises(BadInput):
            await fetcher.fetch(action)


@silent
async def test_who_does_not_answer_is_told(opened: Opener, tmp_path):
    async with opened(tmp_path, Fault.SILENT) as fetcher:
        with pytest.raises(Unavailable, match="ECU"):
            await fetcher.fetch(QUERY)
        with pytest.raises(Unavailable, match="ECU"):
            await fetcher.active_dtcs()
