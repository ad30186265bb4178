"""vehicle-sim ecu as a program of its own: an agent fetches trouble codes from it and misses no other frame."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema_rs
import pytest

from edge_agent.adapters.ecu_buses import EcuBuses
from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.patience import Patient
from edge_agent.adapters.sources import open_source
from edge_agent.adapters.tap import Tapped
from edge_agent.canbus.frames import Frame
from edge_agent.config_diagnostics import Ecu
from edge_agent.diagnostics.fetcher import Fetcher
from fairway.clock import SystemClock
from fairway.errors import Unavailable
from simulators.cli import main
from tests.e2e.programs import Program
from tests.edge_agent.adapters.frames import frames_of
from tests.ports import free_port
from tests.shared_data import shared

DRIVE = "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz"
OBD = "edge/fleetwise/obd/"
SAMPLE = "obd_config_sample.json"
# A busy machine may be late.
ENGINE = Ecu("engine", "can0", 1, 0x7E0, 0x7E8, p2_ms=2000)
GEARBOX = Ecu("gearbox", "can0", 2, 0x7E1, 0x7E9, p2_ms=2000)
# What FleetWise's own system test sets.
TROUBLE = (
    *("--dtc", "ECM_DTC3=0xAF", "--dtc", "TCU_DTC3=0xAF"),
    *("--snapshot", "ECM_DTC3:1=01CCDD02", "--extended", "ECM_DTC3:1=01CCDD0405060708"),
)
QUERY = 'custom_function("DTC_QUERY", -1, 4, -1)'


@dataclass
class Agent:
    """The part of an agent that has to do with it: a bus, all that it receives, and what is fetched."""

    fetcher: Fetcher
    frames: list[Frame] = field(default_factory=list)


@contextlib.asynccontextmanager
async def agent(source_text: str, *ecus: Ecu) -> AsyncIterator[Agent]:
    clock = SystemClock()
    source = Patient(open_source(source_text, name="can0"), "can0", clock)
    asking = EcuBuses(ecus, ["can0"], clock)
    asking.connect(0, source)
    made = Agent(Fetcher(asking))

    async def run() -> None:
        tapped = Tapped(source, asking.take)
        while (block := await tapped.receive()) is not None:
            made.frames += block.frames()

    running = asyncio.create_task(run())
    try:
        yield made
    finally:
        source.close()
        await running


def simulated(folder: Path, table: str, to: str, *more: str) -> Program:
    """Start the simulator; it answers when it is there."""
    file = str(shared(OBD + table))
    return Program(
        *("vehicle-sim", "ecu", "--table", file, "--to", to, *more), log=folder / "ecu.txt"
    ).start()


async def patiently(fetcher: Fetcher, action: str) -> str:
    """Fetch once the simulator is there."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Unavailable):
                return await fetcher.fetch(action)
            await asyncio.sleep(0.1)


async def test_a_campaigns_action_brings_what_fleetwises_own_test_expects(tmp_path):
    schema = json.loads(shared("edge/fleetwise/schemas/udsDtcSchema.json").read_text())
    program = simulated(tmp_path, SAMPLE, f"unix:{tmp_path}/bus", *TROUBLE)
    try:
        async with agent(f"unix:{tmp_path}/bus", ENGINE, GEARBOX) as made:
            text = await patiently(made.fetcher, QUERY)
            extended = await made.fetcher.fetch('custom_function("DTC_QUERY", 1, 6, -1)')
    finally:
        program.stop()

    for result in (text, extended):
        jsonschema_rs.Draft4Validator(schema).validate(json.loads(result))
    found = {
        (one["ECUID"], code["DTC"]): code["DTCSnapshotRecord"]
        for one in json.loads(text)["DetectedDTCs"]
        for code in one["DTCAndSnapshot"]["dtcCodes"]
        if one["DTCAndSnapshot"]["DTCStatusAvailabilityMask"] == "FF"
    }
    assert found == {("01", "AAA123"): "AAA123AF0101CCDD02", ("02", "CCC789"): ""}
    assert '"DTCExtendedData":"AAA123AF0101CCDD0405060708"' in extended


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
async def test_a_socketcand_server_carries_it_as_well(tmp_path):
    port = free_port()
    program = simulated(tmp_path, SAMPLE, f"socketcand:127.0.0.1:{port}", *TROUBLE)
    try:
        async with agent(f"socketcand:127.0.0.1:{port}:ecu", ENGINE, GEARBOX) as made:
            text = await patiently(made.fetcher, QUERY)
    finally:
        program.stop()

    assert "AAA123AF0101CCDD02" in text


async def test_an_agent_that_asks_all_the_time_misses_no_frame_of_a_real_drive(tmp_path):
    drive = frames_of(open_log(shared(DRIVE), {"can0": 0}))
    program = simulated(tmp_path, SAMPLE, f"unix:{tmp_path}/bus", *TROUBLE)
    player = Program(
        *("vehicle-sim", "replay", "--log", shared(DRIVE), "--to", f"unix:{tmp_path}/bus"),
        *("--speed", "10"),
        log=tmp_path / "player.txt",
    )
    fetched = list[str]()
    try:
        async with agent(f"unix:{tmp_path}/bus", ENGINE, GEARBOX) as made:
            await patiently(made.fetcher, QUERY)
            player.start()
            while player.is_running:
                fetched.append(await made.fetcher.fetch(QUERY))
            assert player.wait(1) == 0
            async with asyncio.timeout(10):
                while len(others(made.frames)) < len(drive):
                    await asyncio.sleep(0.05)
    finally:
        program.stop()
        player.close()

    assert others(made.frames) == drive
    assert len(fetched) > 10
    assert all("AAA123AF0101CCDD02" in text for text in fetched)


def others(frames: list[Frame]) -> list[Frame]:
    """Return the frames that no ECU of ours sent."""
    return [frame for frame in frames if frame.can_id not in (0x7E8, 0x7E9)]


async def test_a_fault_of_one_ecu_is_told_and_the_other_is_fetched_all_the_same(tmp_path):
    record = "01" + "55" * 40
    program = simulated(
        *(tmp_path, SAMPLE, f"unix:{tmp_path}/bus", *TROUBLE, "--fault", "engine=sequence"),
        *("--snapshot", f"ECM_DTC3:2={record}", "--snapshot", f"TCU_DTC3:2={record}"),
    )
    try:
        async with agent(f"unix:{tmp_path}/bus", ENGINE, GEARBOX) as made:
            text = await patiently(made.fetcher, QUERY)
            with pytest.raises(Unavailable, match=r"engine \(0x7E0 on can0\): consecutive frame 3"):
                await made.fetcher.fetch('custom_function("DTC_QUERY", 1, 4, -1, "0xAAA123", 2)')
    finally:
        program.stop()

    assert f"CCC789AF02{record}" in text
    assert '"DTC":"AAA123","DTCExtendedData":"","DTCSnapshotRecord":""' in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--dtc", "NONE"), "no ECU has a trouble code NONE"),
        (("--dtc", "ECM_DTC3=x"), "'x' is no number"),
        (("--dtc", "ECM_DTC3=256"), "the status 256 of ECM_DTC3 is no byte"),
        (("--snapshot", "ECM_DTC3=01"), "is no record: write NAME:N=HEX"),
        (("--snapshot", "ECM_DTC3:1=0"), "is no record"),
        (("--snapshot", "ECM_DTC1:1=00"), "no trouble code ECM_DTC1 of UDS"),
        (("--extended", "ECM_DTC3:255=00"), "record 255 of ECM_DTC3 is not 1 to 254"),
        (("--pid", "NONE=1"), "no ECU has a parameter NONE"),
        (("--pid", "ENGINE_SPEED=fast"), "write NAME=VALUE"),
        (("--fault", "engine=broken"), "write one of none, silent, pending"),
        (("--fault", "wheel=silent"), "ECU= before it for one of engine, transmission"),
        (("--seconds", "0"), "--seconds 0 is not above 0"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(arguments, sentence, tmp_path, capsys):
    table = shared(OBD + SAMPLE)

    assert main(["ecu", "--table", str(table), "--to", f"unix:{tmp_path}/bus", *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_it_stops_by_itself_when_its_time_is_up(tmp_path, capsys):
    table = shared(OBD + SAMPLE)
    arguments = ["ecu", "--table", str(table), "--to", f"unix:{tmp_path}/bus", "--seconds", "0.1"]

    assert main(arguments) == 0
    assert "0 requests" in capsys.readouterr().err
