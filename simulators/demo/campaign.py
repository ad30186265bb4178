"""The campaign of a demo: written, approved by somebody else, started, and run by every vehicle.

    document > API > approver > every agent: "held(speed < 1 km/h, 1 s)?" --events--> the cloud counts

Rule 1: a folder of an earlier demo has it already, and goes on with it.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairway.errors import Unavailable
from simulators.demo import http, watch
from simulators.demo.stage import Stage

NAME = "standing-still"
CONDITION = "held($variable.`Vehicle.Speed` < 1, 1 s)"
# At once after the second, and every second for as long as it stands.
INTERVAL_MS = 1000
SAMPLES_MAX = 100
DOCUMENT = {
    "name": NAME,
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": CONDITION,
            "minimumTriggerIntervalMs": INTERVAL_MS,
            "triggerMode": "ALWAYS",
        }
    },
    "signalsToCollect": [{"name": "Vehicle.Speed", "maxSampleCount": SAMPLES_MAX}],
}
# Vehicles take a list within a second of their first word; on two busy cores in some.
IN_FORCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Brought:
    """What the campaign brought to the cloud."""

    name: str = NAME
    condition: str = CONDITION
    vehicles: int = 0
    events: int = 0
    samples: int = 0


async def start(stage: Stage, vins: Sequence[str]) -> None:
    """Start the campaign for these vehicles, and wait until all run it.  Raises Unavailable."""
    if not await http.answers(_url(stage), stage.key()):
        approver = await stage.approver_key()
        target = {"query": " or ".join(f'id == "{vin}"' for vin in vins)}
        await http.send(
            f"{stage.api}/v1/campaigns", stage.key(), {"campaign": DOCUMENT, "target": target}
        )
        await http.send(_url(stage, "/approve"), approver)
        await http.send(_url(stage, "/start"), stage.key())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + IN_FORCE_S
    while loop.time() < deadline:
        stage.check()
        told = await watch.metrics([agent.metrics for agent in stage.agents])
        if told.get("fairway_edge_campaigns", 0) >= len(vins):
            return
        await asyncio.sleep(0.2)
    raise Unavailable(f"the vehicles did not take the campaign {NAME} within {IN_FORCE_S:.0f} s")


async def brought(stage: Stage) -> Brought:
    """Return what the cloud has of it.  Raises Unavailable."""
    progress = (await _asked(stage))["progress"]
    vehicles = (await _asked(stage, "/vehicles"))["vehicles"]
    return Brought(
        vehicles=sum(one["progress"]["events"] > 0 for one in vehicles),
        events=int(progress["events"]),
        samples=int(progress["samples"]),
    )


async def _asked(stage: Stage, more: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await http.text(_url(stage, more), stage.key()))
    return found


def _url(stage: Stage, more: str = "") -> str:
    return f"{stage.api}/v1/campaigns/{NAME}{more}"
