"""KUKSA's own client 0.6, unmodified, as a service at its own door."""

import asyncio
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairway.services.model import Access, Runner
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, Rig
from tests.edge_agent.vehicle_api import SPEED, take
from tests.shared_data import ROOT, missing

pytestmark = pytest.mark.slow

SERVICE = Path(__file__).with_name("kuksa_service.py")


async def used(rig: Rig, mode: str, access: Access) -> dict[str, Any]:
    """Run the service where its door says, with its token or without."""
    python = ROOT / ".kuksa" / "bin" / "python"
    if not python.exists():
        missing("kuksa-client is not here: make .kuksa/ready")
    take(rig.data, [(SPEED, 1, 42.0)])
    service = replace(BATTERY, access=access, runner=Runner.PROCESS)
    environment = dict(await rig.doors.open(rig.instance(service)))
    shown = [environment["TOKEN_OR_TOKENFILE"]] if access is Access.TOKEN else []
    command = [str(python), str(SERVICE), mode, *shown]

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=90, check=False
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("access", Access)
async def test_it_reads_publishes_subscribes_and_is_denied(access):
    async with rigs.served() as rig:
        seen = await used(rig, "sync", access)
        denied = {one.what for one in rig.doors.denials("battery")}

    assert seen == {
        "server": "fairway-edge-agent",
        "speed": 42.0,
        "provided": 4711,
        "told": 42.0,
        "denied": 403,
    }
    assert denied == {"Vehicle.VehicleIdentification.VIN"}


async def test_the_asynchronous_client_does_too():
    async with rigs.served() as rig:
        seen = await used(rig, "async", Access.TOKEN)

    assert seen == {"speed": 42.0, "denied": 7}  # v2 says PERMISSION_DENIED
