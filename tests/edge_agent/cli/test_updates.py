"""`edge-agent updates` before a real order in a vehicle in memory: what is printed, and the driver's word."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.adapters.updates_desk import SOCKET_NAME, UpdatesDesk
from edge_agent.cli import main
from edge_agent.updates.conditions import Facts
from edge_agent.updates.ports import Health, Verdict
from tests.edge_agent.updates.releases import plan_of
from tests.edge_agent.updates.vehicle_rig import Vehicle, run, vehicle_with

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
source = "socketcan:can0"
databases = []
[spool]
dir = "spool"
{more}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(SETTINGS.format(more="[updates]"))
    (tmp_path / "spool").mkdir()
    return path


@contextmanager
def desk(settings: Path, vehicle: Vehicle, *, begins: bool) -> Iterator[None]:
    """Answer from another thread, as an agent does."""
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        agent = vehicle.agent()
        opened = UpdatesDesk(settings.parent / "spool" / SOCKET_NAME, agent, None)
        if begins:
            plan = plan_of(2, ["maps"], needs_consent=True, user_text={"en": "New maps."})
            await agent.take(await vehicle.order(plan, agent))
            await agent.carry()
        await opened.start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await opened.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        stop.set()
        thread.join()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["updates", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_what_waits_is_printed_and_the_driver_answers(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    vehicle = vehicle_with(1, tmp_path / "fetched")
    vehicle.facts = Facts()
    where = ("--config", str(settings))
    with desk(settings, vehicle, begins=True):
        code, out, _ = said(capsys, "status", *where)
        assert code == 0
        assert out.splitlines()[:3] == [
            "to-2 consent, 40 %",
            "  New maps.",
            "  maps: maps 2.0.0 verified",
        ]
        assert "  waits: nobody says how fast the vehicle moves" in out
        assert "  the driver is asked: accept, decline or postpone" in out
        assert said(capsys, "postpone", *where, "--minutes", "5")[0] == 0
        facts = json.loads(said(capsys, "status", *where, "--json")[1])
        assert facts["update"]["consent"] == "postponed"
        assert said(capsys, "accept", *where, "--json")[1] == '{"order": "accept"}\n'
        facts = json.loads(said(capsys, "status", *where, "--json")[1])
        assert (facts["update"]["consent"], facts["asks_driver"]) == ("accepted", False)
        assert "under way: window" in said(capsys, "why", "to-2", *where)[1]


def test_why_one_went_back_is_explained_with_its_log(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    vehicle = vehicle_with(1, tmp_path / "fetched")
    vehicle.checks.verdict = Verdict(Health.ILL, "no signal comes", log="bus off\x1b[2J\nagain")
    run(vehicle.install(plan_of(2, ["maps"])))
    with desk(settings, vehicle, begins=False):
        code, out, _ = said(capsys, "why", "to-2", "--config", str(settings))

        assert code == 0
        assert "to-2 rolled_back at 20" in out
        assert "  2.0.0 is never tried again in maps" in out
        assert "\x1b" not in out
        code, _, err = said(capsys, "why", "to-9", "--config", str(settings))
        assert (code, "known are: to-1, to-2" in err) == (1, True)
        assert said(capsys, "check", "--config", str(settings))[0] == 1
        assert "last: to-2 rolled_back" in said(capsys, "status", "--config", str(settings))[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("accept",), "no update that could be accepted"),
        (("postpone", "--minutes", "0"), "--minutes is 0; choose from above 0 to 43200"),
        (("postpone", "--minutes", "1e9"), "choose from above 0 to 43200"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    settings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
):
    with desk(settings, vehicle_with(1, tmp_path / "fetched"), begins=False):
        code, _, err = said(capsys, *words, "--config", str(settings))

    assert (code, sentence in err) == (1, True), err


def test_no_agent_and_no_table_are_said(settings: Path, capsys: pytest.CaptureFixture[str]):
    code, _, err = said(capsys, "status", "--config", str(settings))
    assert (code, "no agent with updates answers" in err) == (1, True)
    settings.write_text(SETTINGS.format(more=""))
    code, _, err = said(capsys, "status", "--config", str(settings))
    assert (code, "has no [updates]" in err) == (1, True)
