"""ECUs are asked over the agent's buses: one request at a time, and no frame beyond what the settings allow."""

import asyncio

import pytest

from edge_agent.adapters.ecu_buses import INBOX_MAX_FRAMES, EcuBuses
from edge_agent.adapters.memory import MemoryBus
from edge_agent.adapters.outbound_bus import RequestBuses
from edge_agent.canbus.frames import EXTENDED, FD, Frame, block_of
from edge_agent.diagnostics.fetcher import Fetcher
from fairway.clock import SystemClock
from fairway.errors import BadInput, Denied, Unavailable
from simulators.ecu_node import Fault
from simulators.ecu_table import Code, EcuTable, load_tables
from tests.edge_agent.adapters.ecu_rig import ENGINE, ENGINE_29, GEARBOX, Rig, rig, settings
from tests.shared_data import shared

LIST, SNAPSHOTS = bytes.fromhex("19 02 ff"), bytes.fromhex("19 03")
SNAPSHOT = bytes(range(100))


def troubled(made: Rig) -> Rig:
    """Give every ECU a trouble code with a long snapshot."""
    for ecu in made.simulated.values():
        ecu.set_status("UDS1", 0xAF)
        ecu.set_status("OBD1", 0x2F)
        ecu.keep(ecu.memory.snapshots, "UDS1", 1, SNAPSHOT)
    return made


async def test_a_campaigns_query_is_answered_and_every_frame_still_reaches_the_agent(tmp_path):
    async with rig(tmp_path, ENGINE, GEARBOX) as made:
        fetcher = Fetcher(troubled(made).ecus)
        traffic = [Frame(0x100 + n % 50, bytes([n & 0xFF]) * 8, time_ns=n + 1) for n in range(2000)]

        async def drive() -> None:
            for begin in range(0, len(traffic), 20):
                await made.bus.send(block_of(traffic[begin : begin + 20]))
                await asyncio.sleep(0)

        text, codes, _ = await asyncio.gather(
            fetcher.fetch('custom_function("DTC_QUERY", -1, 4, -1)'), fetcher.active_dtcs(), drive()
        )
        async with asyncio.timeout(5):
            while sum(frame.can_id < 0x200 for frame in made.received) < len(traffic):
                await asyncio.sleep(0.01)

    assert text.count(f"AAA123AF01{SNAPSHOT.hex().upper()}") == 2
    assert codes == ("P0123",)
    assert [frame for frame in made.received if frame.can_id < 0x200] == traffic
    answers = [frame for frame in made.seen if frame.can_id in (0x7E8, 0x7E9)]
    assert [frame for frame in made.received if frame.can_id in (0x7E8, 0x7E9)] == answers


async def test_all_ecus_are_asked_by_one_frame_and_a_long_answer_is_let_go_on(tmp_path):
    async with rig(tmp_path, ENGINE, GEARBOX) as made:
        troubled(made)
        await made.ecus.ask_all(made.ecus.known, LIST)
        await made.ecus.ask(made.ecus.known[0], bytes.fromhex("19 04 aa a1 23 01"))

    assert made.from_agent() == [
        "7DF 03 19 02 ff cc cc cc cc",
        "7E0 06 19 04 aa a1 23 01 cc",
        "7E0 30 00 00 cc cc cc cc cc",
    ]


async def test_ids_of_29_bits_go_out_as_such(tmp_path):
    async with rig(tmp_path, ENGINE_29) as made:
        await made.ecus.ask_all(made.ecus.known, LIST)
        await made.ecus.ask(made.ecus.known[0], LIST)

    assert made.from_agent() == [
        "18DB33F1 03 19 02 ff cc cc cc cc",
        "18DA58F1 03 19 02 ff cc cc cc cc",
    ]
    assert all(frame.can_id & EXTENDED for frame in made.seen)


async def test_can_fd_carries_a_long_answer_in_few_frames(tmp_path):
    async with rig(tmp_path, ENGINE, fd=True) as made:
        troubled(made)
        answer = await made.ecus.ask(made.ecus.known[0], bytes.fromhex("19 04 aa a1 23 01"))

    assert answer == bytes.fromhex("59 04 aa a1 23 af 01") + SNAPSHOT
    assert [len(frame.data) for frame in made.seen] == [8, 64, 8, 48]
    assert all(frame.flags & FD for frame in made.seen)


async def test_an_agent_that_is_asked_nothing_says_nothing(tmp_path):
    async with rig(tmp_path, ENGINE) as made:
        await made.bus.send(block_of([Frame(0x7E8, bytes.fromhex("10 14 59 02 ff 01 02 03"))]))
        async with asyncio.timeout(5):
            while not made.received:
                await asyncio.sleep(0.01)

    assert made.from_agent() == []


@pytest.mark.parametrize(
    "table",
    ["sample", "sample_29bit", "sample_broadcast"],
    ids=["11 bits", "29 bits", "to all only"],
)
async def test_active_codes_come_from_every_kind_of_ecu_that_fleetwise_simulates(table, tmp_path):
    engine, gearbox = load_tables(shared(f"edge/fleetwise/obd/obd_config_{table}.json"))
    async with rig(tmp_path, engine, gearbox) as made:
        made.simulated["engine"].set_status("ECM_DTC1", 0x2F)
        made.simulated["engine"].set_status("ECM_DTC2", 0x04)
        made.simulated["transmission"].set_status("TCU_DTC2", 0x08)

        assert await Fetcher(made.ecus).active_dtcs() == ("P0123", "U0DEF")


async def test_long_lists_of_several_ecus_come_in_at_the_same_time(tmp_path):
    codes = {f"D{n}": Code(0x0100 + n, is_uds=False) for n in range(200)}
    tables = [EcuTable(f"ecu{n}", 0x7E8 + n, codes=codes) for n in range(8)]
    async with rig(tmp_path, *tables) as made:
        for ecu in made.simulated.values():
            for name in codes:
                ecu.set_status(name, 0x08)
        said = await made.ecus.ask_all(made.ecus.known, b"\x03")
        found = await Fetcher(made.ecus).active_dtcs()

    assert len(said) == 8
    assert {len(answer) for answer in said.values() if isinstance(answer, bytes)} == {402}
    assert found == tuple(f"P{0x0100 + n:04X}" for n in range(200))


@pytest.mark.parametrize("fault", [Fault.PENDING, Fault.BUSY])
@pytest.mark.parametrize("is_functional", [False, True])
async def test_an_ecu_that_wants_patience_gets_it(fault, is_functional, tmp_path):
    async with rig(tmp_path, ENGINE, faults={"engine": fault}) as made:
        (engine,) = made.ecus.known
        if is_functional:
            said = (await made.ecus.ask_all([engine], LIST))[engine]
        else:
            said = await made.ecus.ask(engine, LIST)

    assert said == bytes.fromhex("59 02 ff")


@pytest.mark.parametrize(
    ("fault", "p2_ms", "sentence"),
    [
        (Fault.SILENT, 50, r"the ECU engine \(0x7E0 on can0\): no answer within 50 ms \(P2\)"),
        (Fault.SLOW, 50, r"no answer within 50 ms \(P2\)"),
        (Fault.SEQUENCE, 500, "consecutive frame 3 came where 2 was due"),
    ],
)
async def test_an_ecu_that_goes_wrong_is_named_with_what_went_wrong(
    fault, p2_ms, sentence, tmp_path
):
    async with rig(tmp_path, ENGINE, faults={"engine": fault}, p2_ms=p2_ms) as made:
        troubled(made)
        with pytest.raises(Unavailable, match=sentence):
            await made.ecus.ask(made.ecus.known[0], bytes.fromhex("19 04 aa a1 23 01"))


async def test_requests_to_one_ecu_take_turns(tmp_path):
    async with rig(tmp_path, ENGINE, GEARBOX) as made:
        troubled(made)
        engine, gearbox = made.ecus.known
        async with asyncio.TaskGroup() as tasks:
            alone = [
                tasks.create_task(made.ecus.ask(ecu, LIST))
                for _ in range(5)
                for ecu in (engine, gearbox)
            ]
            together = [
                tasks.create_task(made.ecus.ask_all([gearbox, engine], SNAPSHOTS)) for _ in range(5)
            ]

    assert {task.result() for task in alone} == {bytes.fromhex("59 02 ff aa a1 23 af")}
    for said in together:
        assert list(said.result().values()) == [bytes.fromhex("59 03 aa a1 23 01")] * 2


async def test_a_request_that_is_called_off_leaves_the_ecu_to_the_next(tmp_path):
    async with rig(tmp_path, ENGINE, faults={"engine": Fault.PENDING}) as made:
        (engine,) = made.ecus.known
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await made.ecus.ask(engine, SNAPSHOTS)
        # The late answer to the first request comes in between.
        assert await made.ecus.ask(engine, LIST) == bytes.fromhex("59 02 ff")


async def test_a_bus_that_is_gone_is_said_of_every_ecu(tmp_path):
    async with rig(tmp_path, ENGINE, GEARBOX) as made:
        bus = MemoryBus()
        bus.is_there = False
        made.ecus.connect(0, bus)

        with pytest.raises(Unavailable, match=r"engine .*: the bus in memory is switched off"):
            await made.ecus.ask(made.ecus.known[0], LIST)
        said = await made.ecus.ask_all(made.ecus.known, LIST)
        assert [isinstance(reason, Unavailable) for reason in said.values()] == [True, True]
        assert "gearbox" in str(said[made.ecus.known[1]])


async def test_a_bus_that_was_never_opened_is_named():
    ecus = EcuBuses([settings(ENGINE, 1)], ["can0"], SystemClock())

    with pytest.raises(Unavailable, match="the bus can0 is not open"):
        await ecus.ask(ecus.known[0], LIST)


async def test_an_ecu_that_floods_the_agent_does_not_fill_its_memory():
    ecus = EcuBuses([settings(ENGINE, 1)], ["can0"], SystemClock())
    ecus.connect(0, MemoryBus())
    asking = asyncio.create_task(ecus.ask(ecus.known[0], LIST))
    await asyncio.sleep(0)
    flood = block_of([Frame(0x7E8, bytes.fromhex("02 50 03"))] * 1000)
    for _ in range(10):
        ecus.take(flood)

    (line,) = ecus._lines.values()
    assert len(line.inbox) == INBOX_MAX_FRAMES
    with pytest.raises(Unavailable):
        await asking
    ecus.take(flood)
    assert not line.inbox


async def test_no_frame_but_those_to_ecus_of_the_settings_can_be_sent():
    bus = MemoryBus()
    buses = RequestBuses({(0, 0x7E0)}, SystemClock(), {0: "can0", 1: "can1"})
    buses.connect(0, bus)
    buses.connect(1, object())  # nothing is sent there, so it need not be able to

    await buses.send([Frame(0x7E0, b"\x01")])
    for frame in (Frame(0x7E1, b""), Frame(0x7E0, b"", bus=1), Frame(EXTENDED | 0x7E0, b"")):
        with pytest.raises(Denied, match=r"no \[\[ecu\]\]"):
            await buses.send([Frame(0x7E0, b"\x02"), frame])
    assert [frame.data for frame in bus.sent] == [b"\x01"]
    assert bus.sent[0].time_ns > 0


def test_a_source_that_only_reads_cannot_ask():
    ecus = EcuBuses([settings(ENGINE, 1)], ["can0"], SystemClock())

    with pytest.raises(BadInput, match="its source only reads"):
        ecus.connect(0, object())
