"""Who has a door: apps where the settings have [onboard], services always, and all over the same data."""

import shutil
import tempfile
from pathlib import Path

import grpc
import pytest

from edge_agent.adapters.edge_audit import EdgeAudit, read
from edge_agent.adapters.onboard import open_onboard
from edge_agent.adapters.pipelines import open_pipeline
from edge_agent.adapters.service_doors import ServiceDoors
from edge_agent.adapters.service_tokens import Mint
from edge_agent.config import Config
from fairway import config as settings
from fairway.clock import SystemClock
from fairway.services.model import Service, Signals
from tests.edge_agent.adapters import service_rig as rigs
from tests.shared_data import ROOT

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = ["{dbc}/fairway_ev.dbc"]
[replay]
log = "drive.log"
[signals]
catalogs = ["{dbc}/fairway_vss.json"]
overlays = ["{dbc}/fairway_ev.vspec"]
[spool]
dir = "{folder}/spool"
"""
ONBOARD = "[onboard]\ntrust_socket = true\n"


def opened(folder: Path, more: str = "", **flags: bool):
    path = folder / "agent.toml"
    path.write_text(SETTINGS.format(dbc=ROOT / "dbc", folder=folder) + more)
    config = settings.load(Config, path)
    pipeline, _, catalog, plan = open_pipeline(config, {})
    return open_onboard(config, pipeline.mapping, plan, catalog, SystemClock(), **flags)


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="ecu-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_without_onboard_and_services_there_is_nothing(folder):
    assert opened(folder) is None


def test_with_services_alone_there_is_the_data_and_no_door_for_apps(folder):
    one = opened(folder, is_for_services=True)

    assert one is not None
    assert one.door is None
    assert one.serving


async def test_apps_and_services_share_data_and_subscriptions(folder):
    clock = SystemClock()
    one = opened(folder, ONBOARD, is_for_services=True)
    assert one is not None
    assert one.door is not None
    where = await one.door.start()
    audit = EdgeAudit(folder / "services" / "audit.jsonl", clock)
    mint = Mint.of(folder / "services", clock)
    doors = ServiceDoors(one.feed.data, mint, audit, clock, one.serving)
    rig = rigs.Rig(folder, doors, one.feed.data, mint, None, clock)  # type: ignore[arg-type]
    try:
        speed = "Vehicle.Speed"
        instance = await rig.opened(Service("battery", "1", signals=Signals(provide=(speed,))))
        async with rigs.caller(instance) as its, rigs.at(where) as app:
            await its.publish(speed, float=12.0)
            assert await app.get(speed) == 12.0
            with pytest.raises(grpc.RpcError):
                await its.get("Vehicle.Powertrain")
        await doors.look()
    finally:
        await doors.stop()
        await one.door.stop()
        audit.close()

    (line,) = read(folder / "services" / "audit.jsonl")
    assert (line["actor"], line["object"]) == ("service:battery", "Vehicle.Powertrain")
