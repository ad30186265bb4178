"""The update of a demo: built, signed by two hands, published, approved, and rolled out while vehicles drive.

    limits > build > CI signs > a person signs > publish > rollout > approver > agents: installed; is it well?
        yes: kept     no: it goes back by itself, the cloud hears why, and the rollout pauses

Rule 1: the folder has speed limits for cars and none for trucks, which whoever made it forgot: an agent that
finds no limits for its kind of vehicle is not well.
Rule 2: a folder of an earlier demo gets the next version.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.errors import BadInput, Unavailable
from simulators.demo import http
from simulators.demo.programs import run_once
from simulators.demo.stage import LIMITS, LIMITS_FILE, Stage

# Vehicles tell of their ECUs within a second of their first word, and take an update in some more; on two busy
# cores all of that takes its time.
KNOWN_S = 60.0
SETTLED_S = 90.0
_OVER = ("PAUSED", "FINISHED", "STOPPED")
_LIMITS = "# speed limits {version}, in km/h\nev 130\n"

_RELEASE = """\
name = "{name}-release"
version = "{version}"
purpose = "speed limits of this year"

[[component]]
kind = "file"
name = "{name}"
path = "{name}"
hardware_ids = ["{name}"]
"""


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of the update."""

    name: str = LIMITS
    version: str = ""
    state: str = ""  # of the rollout
    why: str = ""  # it stands there
    vehicles: int = 0
    committed: int = 0
    rolled_back: int = 0
    sentence: str = ""  # of a vehicle in which it went back


class Releases:
    """The release folder, with keys in files: CI's, a person's, and those of servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "releases"
        self._release, self._keys = self._folder / "signed", self._folder / "keys"
        self.version = ""

    @property
    def root(self) -> Path:
        """What vehicles trust from the start."""
        return self._release / "metadata" / "1.root.json"

    async def build(self) -> None:
        """Build the next version, and have both hands sign it.  Raises BadInput, Unavailable."""
        if not self.root.exists():
            await run_once("ota-release", "init", self._release, "--keys", self._keys)
        file = self._write()
        await self._tool("build", file)
        await self._tool("sign", "--key", self._keys / "ci.pem")
        await self._tool("cosign", "--key", self._keys / "owner-1.pem")
        online = ("--snapshot-key", self._keys / "snapshot-1.pem")
        await self._tool("timestamp", "--key", self._keys / "timestamp-1.pem", *online)

    async def publish(self, stage: Stage) -> None:
        """Send it to the cloud.  Raises Unavailable."""
        await self._tool("publish", stage.api, "--token-file", stage.key_file)

    def _write(self) -> Path:
        content = self._folder / LIMITS
        try:
            content.mkdir(exist_ok=True)
            self.version = f"1.{len(list(self._folder.glob('release-*.toml')))}"
            (content / LIMITS_FILE).write_text(_LIMITS.format(version=self.version))
            file = self._folder / f"release-{self.version}.toml"
            file.write_text(_RELEASE.format(name=LIMITS, version=self.version))
        except OSError as error:
            raise BadInput(f"the demo cannot use {self._folder}: {error.strerror}") from error
        return file

    async def _tool(self, *words: str | Path) -> None:
        await run_once("ota-release", *words, "--folder", self._release)


class Rollout:
    """The release on its way into vehicles."""

    def __init__(self, stage: Stage, releases: Releases, vins: Sequence[str]) -> None:
        self._stage, self._releases, self._vins = stage, releases, vins
        self._id = ""

    @property
    def url(self) -> str:
        """Where the API shows it."""
        return f"{self._stage.api}/v1/rollouts/{self._id}"

    async def prepare(self) -> None:
        """Publish, make a rollout, and have somebody else approve it.  Raises Unavailable."""
        stage = self._stage
        await self._releases.publish(stage)
        wish = {"wish": self._wish()}
        made = await http.send(f"{stage.api}/v1/rollouts", stage.key(), wish)
        self._id = str(json.loads(made)["id"])
        await http.send(f"{self.url}/approve", await stage.approver_key())

    async def run(self) -> None:
        """Start it, and return once nothing more happens by itself.  Raises Unavailable."""
        await _until(self._are_known, KNOWN_S, "tell of their ECUs")
        await http.send(f"{self.url}/start", self._stage.key())
        await _until(self._is_settled, SETTLED_S, "come to an end with the update")

    async def _are_known(self) -> bool:
        """Whether the cloud knows what each vehicle is made of."""
        ecus = f"{self._stage.api}/v1/ecus?vehicle="
        return all([(await self._asked(f"{ecus}{vin}"))["ecus"] for vin in self._vins])

    async def _is_settled(self) -> bool:
        return (await self._asked(self.url))["state"] in _OVER

    async def look(self) -> Updated:
        """Return how it stands.  Raises Unavailable."""
        shown = await self._asked(self.url)
        vehicles = (await self._asked(f"{self.url}/vehicles"))["vehicles"]
        back = [one for one in vehicles if one["stage"] == "rolled_back"]
        return Updated(
            version=self._releases.version,
            state=shown["state"],
            why=shown["why"],
            vehicles=len(vehicles),
            committed=sum(one["stage"] == "committed" for one in vehicles),
            rolled_back=len(back),
            sentence=f"{back[0]['vehicle']}: {back[0]['why']}" if back else "",
        )

    async def _asked(self, url: str) -> dict[str, Any]:
        self._stage.check()
        found: dict[str, Any] = json.loads(await http.text(url, self._stage.key()))
        return found

    def _wish(self) -> dict[str, Any]:
        version = self._releases.version
        # All have had their turn before it is judged: a demo is to show both ends.
        gate = {"success_percent": 0, "failure_sample_min": len(self._vins)}
        return {
            "name": f"{LIMITS}-{version}",
            "bundle": f"{LIMITS}-release/{version}.bundle.json",
            "target": {"query": " or ".join(f'id == "{vin}"' for vin in self._vins)},
            "waves": [{"name": "the fleet", "gate": gate}],
        }


async def _until(is_so: Callable[[], Awaitable[bool]], within_s: float, what: str) -> None:
    """Wait until something is so.  Raises Unavailable."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while loop.time() < deadline:
        if await is_so():
            return
        await asyncio.sleep(0.2)
    raise Unavailable(f"the vehicles did not {what} within {within_s:.0f} s")
