"""The page on virtual ECUs says what the code does."""

import re

import grpc
import pytest

from edge_agent.adapters import edge_audit, service_door, service_folder, service_tokens
from edge_agent.services import denials
from fairway.catalog.load import load_catalog
from fairway.services.model import Service, Signals
from tests.docs.pages import DOCS
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.vehicle_api import vehicle
from tests.onboard_apps import refusal

PAGE = (DOCS / "explanation" / "virtual-ecus.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_numbers_are_those_of_the_code():
    said = " ".join(PAGE.split())

    for words in (
        f"{service_door.CONNECTIONS_MAX} connections with {service_door.CALLS_MAX} calls",
        f"{denials.DISTINCT_MAX} different things are told apart",
        f"`aud` | `{service_tokens.AGENT}`",
    ):
        assert words in said
    assert service_tokens.TOKEN_LIFE_S == 600  # "They last ten minutes and are replaced after five"
    assert service_tokens.RENEW_AFTER_S == 300
    assert denials.REPEAT_INTERVAL_NS == 60 * 10**9  # "one a minute"
    assert (edge_audit.FILES_MAX, edge_audit.FILE_MAX_BYTES) == (4, 1 << 20)
    assert service_folder._FOLDER_MODE & 0o1000  # "sticky"


async def test_what_lies_in_the_folder_is_told():
    async with rigs.served() as rig:
        instance = await rig.opened(rigs.BATTERY)
        there = {path.name for path in instance.sockets.iterdir()}

    told = re.findall(r"^    ([a-z][a-z.]*)", section("The folder"), re.MULTILINE)
    assert set(told) == there


async def test_a_service_provides_what_the_overlay_names_and_nothing_else(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    overlay = tmp_path / "private.vspec"
    overlay.write_text(text)
    data = vehicle(tuple(load_catalog([overlay])))
    private = "Vehicle.Private.BatteryHealth"
    service = Service("battery", "1", signals=Signals(provide=(f"{private}.*",)))

    async with rigs.served(data=data) as rig, rigs.caller(await rig.opened(service)) as app:
        await app.publish(f"{private}.StateOfHealth", float=97.5)
        said = await app.get(f"{private}.StateOfHealth")
        with pytest.raises(grpc.RpcError) as beyond:
            await app.publish(f"{private}.StateOfHealth", float=101.0)
        with pytest.raises(grpc.RpcError) as nowhere:
            await app.publish(f"{private}.Mood", float=1.0)

    assert said == 97.5
    assert refusal(beyond.value)[0] == "INVALID_ARGUMENT"
    assert refusal(nowhere.value)[0] == "NOT_FOUND"
