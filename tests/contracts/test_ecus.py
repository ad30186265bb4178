"""What everything that asks ECUs promises: the last word of each, or who said nothing."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from edge_agent.adapters.memory import MemoryEcus
from edge_agent.diagnostics.ecu import Ecu, Ecus
from fairway.errors import BadInput, Unavailable
from simulators.ecu import SimulatedEcu
from simulators.ecu_node import Fault
from simulators.ecu_table import EcuTable
from tests.edge_agent.adapters.ecu_rig import ENGINE, ENGINE_29, GEARBOX, GEARBOX_29, rig

TESTER_PRESENT = bytes.fromhex("3e 00")
BROKEN = EcuTable("broken", 0x7EA)
BROKEN_29 = EcuTable("broken", 0x18DAF15A)


@contextlib.asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Ecus]:
    def silent(request: bytes, *, is_functional: bool) -> None:
        assert request
        assert is_functional in (True, False)

    yield MemoryEcus(
        {
            Ecu("engine", 1, is_obd=True): SimulatedEcu(ENGINE).answer,
            Ecu("gearbox", 2, is_obd=True): SimulatedEcu(GEARBOX).answer,
            Ecu("broken", 3, is_obd=True): silent,
        }
    )


@contextlib.asynccontextmanager
async def bus(path: Path) -> AsyncIterator[Ecus]:
    async with rig(path, ENGINE, GEARBOX, BROKEN, faults={"broken": Fault.SILENT}) as made:
        yield made.ecus


@contextlib.asynccontextmanager
async def bus_29(path: Path) -> AsyncIterator[Ecus]:
    async with rig(path, ENGINE_29, GEARBOX_29, BROKEN_29, faults={"broken": Fault.SILENT}) as made:
        yield made.ecus


@contextlib.asynccontextmanager
async def bus_fd(path: Path) -> AsyncIterator[Ecus]:
    faults = {"broken": Fault.SILENT}
    async with rig(path, ENGINE, GEARBOX, BROKEN, faults=faults, fd=True) as made:
        yield made.ecus


Opener = Callable[[Path], AbstractAsyncContextManager[Ecus]]
every = pytest.mark.parametrize("opened", [memory, bus, bus_29, bus_fd])


@every
async def test_ecus_are_known_in_the_order_of_the_settings(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        assert [ecu.name for ecu in ecus.known] == ["engine", "gearbox", "broken"]
        assert [ecu.target_address for ecu in ecus.known] == [1, 2, 3]
        assert all(ecu.is_obd for ecu in ecus.known)


@every
async def test_an_ecu_answers_what_it_is_asked(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        assert await ecus.ask(ecus.known[0], TESTER_PRESENT) == bytes.fromhex("7e 00")
        assert await ecus.ask(ecus.known[1], b"\x03") == bytes.fromhex("43 00")


@every
async def test_a_refusal_is_an_answer(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        assert await ecus.ask(ecus.known[0], bytes.fromhex("22 f1 90")) == bytes.fromhex("7f 22 11")


@every
async def test_a_silent_ecu_is_named(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        with pytest.raises(Unavailable, match="broken"):
            await ecus.ask(ecus.known[2], TESTER_PRESENT)
        # The next one is not kept waiting.
        assert await ecus.ask(ecus.known[0], TESTER_PRESENT)


@every
async def test_all_are_asked_at_once_and_each_has_an_answer_or_a_reason(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        said = await ecus.ask_all(ecus.known, TESTER_PRESENT)

        assert list(said) == list(ecus.known)
        engine, gearbox, broken = said.values()
        assert engine == gearbox == bytes.fromhex("7e 00")
        assert isinstance(broken, Unavailable)
        assert "broken" in str(broken)


@every
async def test_some_can_be_asked_and_no_others_are_told_of(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        said = await ecus.ask_all(ecus.known[1::-1], TESTER_PRESENT)

        assert list(said) == list(ecus.known[:2])


@every
async def test_who_is_asked_with_all_and_does_not_know_the_service_says_nothing(
    opened: Opener, tmp_path
):
    async with opened(tmp_path) as ecus:
        said = await ecus.ask_all(ecus.known, bytes.fromhex("22 f1 90"))

        assert all(isinstance(reason, Unavailable) for reason in said.values())


@every
async def test_a_request_that_cannot_be_sent_is_refused(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        with pytest.raises(BadInput):
            await ecus.ask(ecus.known[0], b"")
        with pytest.raises(BadInput):
            await ecus.ask_all(ecus.known, b"")
        with pytest.raises(BadInput):
            await ecus.ask_all(ecus.known, bytes(100))


@every
async def test_an_ecu_that_is_not_of_the_settings_is_not_asked(opened: Opener, tmp_path):
    async with opened(tmp_path) as ecus:
        with pytest.raises(BadInput, match="stranger"):
            await ecus.ask(Ecu("stranger", 9), TESTER_PRESENT)
        with pytest.raises(BadInput, match="stranger"):
            await ecus.ask_all([ecus.known[0], Ecu("stranger", 9)], TESTER_PRESENT)
