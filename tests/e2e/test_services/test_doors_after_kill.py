"""The agent is killed (-9) over and over: services go on calling each other, and find it where it was."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from edge_agent.adapters.edge_audit import read
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, TRIP_LOG
from tests.onboard_apps import refusal
from tests.shared_data import ROOT

pytestmark = pytest.mark.slow

AGENT = Path(__file__).with_name("doors_program.py")
LINK = "uses/battery.health/sock"


@contextlib.contextmanager
def agent(folder: Path) -> Iterator[None]:
    """Run an agent until it is killed."""
    with subprocess.Popen(
        [sys.executable, str(AGENT), str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    ) as running:
        assert running.stdout is not None
        try:
            assert running.stdout.readline() == b"served\n"
            yield
        finally:
            running.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="ecu-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


async def test_nothing_that_services_have_is_lost_with_the_agent(folder):
    plan = rigs.Rig(folder, None, None, None, None, None)  # type: ignore[arg-type]
    battery, log = plan.instance(BATTERY), plan.instance(TRIP_LOG)
    with agent(folder):
        inode = battery.sockets.stat().st_ino
        with rigs.offering(battery, said="same"):
            await until((log.sockets / LINK).exists)
            before = rigs.token(battery)
    audit = folder / "audit.jsonl"
    for number in range(1, 3):
        with rigs.offering(battery, said="same"):  # it was started anew meanwhile
            with agent(folder):
                await until(lambda: rigs.asked(log.sockets / LINK, log.uid) == "same")
                async with rigs.caller(battery, before) as app:
                    await app.get("Vehicle.Speed")
                async with rigs.caller(battery) as app:
                    with pytest.raises(grpc.RpcError) as denied:
                        await app.get("Vehicle.OBD.DTCList")
                assert refusal(denied.value)[0] == "PERMISSION_DENIED"
                await until(lambda: audit.read_text().count("DTCList") == 2 * number)  # noqa: B023
            assert rigs.asked(log.sockets / LINK, log.uid) == "same"  # there is no agent now

    assert battery.sockets.stat().st_ino == inode
    lines = [line for line in read(audit) if "DTCList" in line["object"]]
    assert len(lines) == 2


async def until(done) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(done):
            await asyncio.sleep(0.2)
