"""Clients of others, unmodified, as services at their own doors: KUKSA's 0.6 and Velocitas' 0.15."""

import asyncio
import json
import os
import re
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

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SERVICE = Path(__file__).with_name("kuksa_service.py")


def client(folder: str, name: str) -> str:
    path = ROOT / folder / "bin" / name
    if not path.exists():
        missing(f"{name} is not here: make {folder}/ready")
    return str(path)


async def used(rig: Rig, mode: str, access: Access) -> dict[str, Any]:
    """Run the service where its door says, with its token or without."""
    take(rig.data, [(SPEED, 1, 42.0)])
    service = replace(BATTERY, access=access, runner=Runner.PROCESS)
    environment = dict(await rig.doors.open(rig.instance(service)))
    shown = [environment["TOKEN_OR_TOKENFILE"]] if access is Access.TOKEN else []
    command = [client(".kuksa", "python"), str(SERVICE), mode, *shown]

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


VELOCITAS = """
import asyncio, json
from velocitas_sdk.vdb.client import VehicleDataBrokerClient
async def main():
    app = VehicleDataBrokerClient()
    answer = await app.GetDatapoints(["Vehicle.Speed"])
    print(json.dumps(answer.datapoints["Vehicle.Speed"].float_value))
asyncio.run(main())
"""


async def alone(rig: Rig, *command: str, said: str = "") -> str:
    """Run a command in the network of a service that has no token and no other socket than its port."""
    take(rig.data, [(SPEED, 1, 42.0)])
    instance = rig.instance(replace(BATTERY, access=Access.SOCKET))
    environment = dict(await rig.doors.open(instance))
    del environment["TOKEN_OR_TOKENFILE"]  # which is in its folder: it is not mounted here
    with rigs.alone(instance) as pid:
        rig.pids[instance.id] = pid
        await rig.doors.started(instance.id)

        def run() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                ["nsenter", "-t", str(pid), "-n", *command],
                input=said,
                env=environment | {"PATH": os.environ["PATH"], "HOME": str(rig.folder)},
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
                cwd=rig.folder,
            )

        done = await asyncio.to_thread(run)
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@rigs.needs_root
async def test_kuksas_command_line_works_in_a_service_without_an_argument():
    commands = "getValue Vehicle.Speed\ngetValue Vehicle.OBD.DTCList\nquit\n"

    async with rigs.served() as rig:
        said = await alone(rig, client(".kuksa", "kuksa-client"), said=commands)

    assert "42.0" in said, said
    assert '"code": 403' in said, said


@rigs.needs_root
async def test_velocitas_sdk_works_in_a_service_as_it_is():
    async with rigs.served() as rig:
        said = await alone(rig, client(".velocitas", "python"), "-c", VELOCITAS)

    assert said.split()[-1] == "42.0", said
