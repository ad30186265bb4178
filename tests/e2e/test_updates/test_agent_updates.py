"""A real agent takes updates from the real device door, over mutual TLS: installed, told, reported."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairway.clock import NS_PER_S, SystemClock
from fairway.update import Fault, Stage
from fleet_cloud.rollouts.ports import Offer
from ota.manifest import Bundle, Install, Kind
from ota.report_json import report_from_bytes
from ota.trust.model import Ecu, Repository, Vehicle
from tests.certificates import Authority
from tests.edge_agent.agents import AGENT, Agent, drive, write_log
from tests.edge_agent.updates.releases import maps_of, tar_of
from tests.ota.repository_simulator import RepositorySimulator, World
from tests.update_place import TENANT, VEHICLE, UpdatePlace, update_place
from tests.waiting import until

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

UPDATES = """
[updates]
url = "{url}"
director_root = "director.root.json"
image_root = "image.root.json"
poll_s = 1
conditions = []
health_within_s = {within_s}
health_for_s = 0
health_signals = {signals}

[[updates.ecu]]
serial = "maps-1"
hardware_id = "maps"
kind = "file"
folder = "maps"
"""


class Site:
    """A door, two repositories behind it, and an agent that trusts them."""

    def __init__(self, folder: Path, place: UpdatePlace, **settings: object) -> None:
        self.folder, self.place = folder / "agent", place
        now = datetime.fromtimestamp(SystemClock().now_ns() / NS_PER_S, UTC)
        self.world = World(
            Vehicle(VEHICLE, "maps-1", (Ecu("maps-1", "maps"),)),
            director=RepositorySimulator(Repository.DIRECTOR, now=now),
            images=RepositorySimulator(Repository.IMAGE, now=now),
        )
        known = {"url": place.url, "within_s": 5, "signals": "[]"} | settings
        keys = place.keys
        self.agent = Agent(
            self.folder,
            Authority(folder / "unused"),
            1,
            vehicle=VEHICLE,
            ca=place.pki.ca,
            certificate=keys.certificate,
            key=keys.key,
            more=UPDATES.format(**known),
        )
        write_log(self.folder / "drive.log", drive(10))
        for name, one in (("director", self.world.director), ("image", self.world.images)):
            (self.folder / f"{name}.root.json").write_bytes(one.files["1.root.json"])
        self._publish()

    def order(self, version: int, **install: Any) -> None:
        """Release a version of the maps, and order it."""
        content, path = tar_of(maps_of(version)), f"maps/{version}.tar"
        self.place.put(content)
        self.world.release(
            path,
            "maps",
            version,
            hardware="maps",
            content=content,
            kind=Kind.FILE,
            install=Install(**install),
        )
        self.world.orders_nothing()
        self.world.action = f"to-{version}"
        self.world.order("maps-1", path)
        self.world.publish()
        offer = Offer(self.world.action, "r1", Bundle("maps", str(version), (path,)), ())
        self.place.offers.put(TENANT, VEHICLE, offer)
        self._publish()

    def _publish(self) -> None:
        self.place.director.put(TENANT, VEHICLE, dict(self.world.director.files))
        self.place.repository.publish(TENANT, dict(self.world.images.files), 1)

    async def asked(self, *words: str) -> Any:
        """Run `edge-agent updates ...`; None when it fails."""
        process = await asyncio.create_subprocess_exec(
            str(AGENT),
            "updates",
            *words,
            "--config",
            str(self.folder / "agent.toml"),
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return json.loads(out) if process.returncode == 0 else None

    async def ended(self, action: str) -> dict[str, Any]:
        """Wait until an update has ended, and return how."""

        async def look() -> Any:
            said = await self.asked("status")
            last = said and said["last"]
            return last if last and last["action"] == action else None

        found: dict[str, Any] = await until(look, within_s=120)
        return found

    def told(self, action: str) -> list[Stage]:
        return [one.stage for one in self.place.offers.history(TENANT, VEHICLE, action)]


@asynccontextmanager
async def site(folder: Path, **settings: object) -> AsyncIterator[Site]:
    async with update_place(folder / "cloud") as place:
        made = Site(folder, place, **settings)
        await made.agent.start()
        try:
            yield made
        finally:
            await made.agent.kill()


async def test_what_is_ordered_is_installed_told_and_reported(tmp_path: Path):
    async with site(tmp_path) as made:
        made.order(1)
        await made.ended("to-1")
        made.order(2)

        done = await made.ended("to-2")

        assert done["stage"] == "committed"
        index = made.folder / "maps" / "current" / "index"
        assert index.read_bytes() == b"v2"
        await until(lambda: Stage.COMMITTED in made.told("to-2"))
        reports = made.place.director.reports

        def reported() -> bool:
            installed = report_from_bytes(reports[-1][2]).ecus[0].installed
            return installed is not None and installed.release_counter == 2

        await until(lambda: reports and reported())


async def test_the_driver_is_asked_and_a_killed_agent_still_knows(tmp_path: Path):
    async with site(tmp_path) as made:
        made.order(1, needs_consent=True, user_text={"en": "New maps."})

        async def asks() -> bool:
            said = await made.asked("status")
            return bool(said and said["asks_driver"])

        await until(asks, within_s=60)
        await made.agent.kill()
        await made.agent.start()
        await until(asks, within_s=60)
        assert await made.asked("accept") == {"order": "accept"}
        assert (await made.ended("to-1"))["stage"] == "committed"
        assert Stage.CONSENT in made.told("to-1")


async def test_what_is_not_well_goes_back_and_says_why(tmp_path: Path):
    signals = '["Vehicle.Private.Nobody.Says"]'
    async with site(tmp_path, signals=signals, within_s=2) as made:
        made.order(1)

        done = await made.ended("to-1")

        assert (done["stage"], done["fault"]) == ("rolled_back", str(Fault.HEALTH))
        why = await made.asked("why", "to-1")
        assert "Vehicle.Private.Nobody.Says does not come" in why["sentence"]
        assert why["never_again"][0]["ecu"] == "maps-1"
        assert not (made.folder / "maps" / "current").exists()
        await until(lambda: Stage.ROLLED_BACK in made.told("to-1"))
