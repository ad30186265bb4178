"""A cloud that rolls releases out, a folder of releases, and vehicles that install them: all real programs."""

import json
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.identity import Scope
from fleet_cloud.adapters.fleet_files import open_artifacts, open_fleet
from fleet_cloud.config import Config
from fleet_cloud.rollouts.director import Instruction, signed_files
from fleet_cloud.rollouts.solver import EcuKnown, Given
from fleet_cloud.updating import director_keys, open_updates
from ota.manifest import Image
from tests.e2e.programs import Program, run, until
from tests.e2e.scene import EMBEDDED_BROKER, Cloud, agent_program, asked, get
from tests.edge_agent.agents import DBC, drive, write_log
from tests.ports import free_port

VEHICLES = ("CAR-1", "CAR-2", "CAR-3")

_CLOUD = '[updates]\nenabled = true\nlisten = "127.0.0.1:0"\n'

# No url: the cloud says where updates are.  What a vehicle opens has to know the vehicle.
_UPDATES = """
[updates]
director_root = "{trust}/director.root.json"
image_root = "{trust}/image.root.json"
poll_s = 600
conditions = []
health_within_s = 2
health_for_s = 0
health_command = ["grep", "-qx", "{vehicle}", "{folder}/limits/current/vehicles.txt"]

[[updates.ecu]]
serial = "limits-1"
hardware_id = "limits"
kind = "file"
folder = "{folder}/limits"
"""

_RELEASE = """
name = "summer"
version = "{version}"
purpose = "new limits"

[[component]]
kind = "file"
name = "limits"
path = "limits"
hardware_ids = ["limits"]
"""


class UpdateSite:
    """All of it, in one folder; `open` starts it."""

    vehicles: tuple[str, ...] = VEHICLES
    updates = _UPDATES  # of each vehicle's settings
    release_file = _RELEASE

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._mqtt_port = free_port()
        broker = EMBEDDED_BROKER.format(port=self._mqtt_port, program="any")
        self.cloud = Cloud(folder, broker + _CLOUD)
        stack.callback(self.cloud.program.close)
        self.release, self.keys = folder / "rel", folder / "keys"
        self.agents: dict[str, Program] = {}
        self.approver = self.first = ""

    def open(self) -> None:
        """Found both repositories, start the cloud, and start three vehicles that trust both."""
        run("ota-release", "init", self.release, "--keys", self.keys)
        self.cloud.start()
        self.fleet("rollout", "init")
        root = self.fleet("rollout", "root")
        (self.folder / "director.root.json").write_text(root)
        image_root = self.release / "metadata" / "1.root.json"
        (self.folder / "image.root.json").write_bytes(image_root.read_bytes())
        (self.folder / "car.dbc").write_text(DBC)
        write_log(self.folder / "drive.log", drive(10))
        self.approver = self.fleet(
            "key", "create", "approver", "--role", "release-approver"
        ).strip()
        author = ("--role", "release-author", "--out", self.folder / "author-key")
        self.fleet("key", "create", "author", *author)
        for vehicle in self.vehicles:
            folder = self.cloud.add_vehicle(vehicle)
            program = agent_program(
                folder,
                url=f"mqtts://localhost:{self._mqtt_port}",
                log=self.folder / "drive.log",
                databases={"can0": self.folder / "car.dbc"},
                more=self.updates.format(trust=self.folder, vehicle=vehicle, folder=folder),
                arguments=(),
            )
            self._stack.callback(program.close)
            self.agents[vehicle] = program.start()
        for vehicle in self.vehicles:
            until(f"word of {vehicle}'s ECUs", lambda it=vehicle: self.ecus(it) != [])  # type: ignore[misc]

    def ecus(self, vehicle: str) -> list[dict[str, Any]]:
        """Return what a vehicle is made of, and holds, as it reported last."""
        found = get(f"{self.cloud.api}/v1/ecus?vehicle={vehicle}", self.cloud.key)
        return list(found["ecus"]) if isinstance(found, dict) else []

    def fleet(self, *words: str | Path) -> str:
        """Run `fleet-cloud` beside the cloud, and return what it printed."""
        return run("fleet-cloud", *words, *self.cloud.options).stdout

    def tool(self, *words: str | Path, check: bool = True) -> tuple[int, str]:
        """Run `ota-release` on the folder of releases; return its code and what it said to people."""
        done = run("ota-release", *words, "--folder", self.release, check=check)
        return done.returncode, done.stderr

    def key(self, label: str) -> Path:
        """Where a key of the demo profile lies."""
        return self.keys / f"{label}.pem"

    def write_inputs(self, version: str, *vehicles: str) -> None:
        """Write what a release is built of."""
        limits = self.folder / "limits"
        limits.mkdir(exist_ok=True)
        (limits / "vehicles.txt").write_text("".join(f"{one}\n" for one in vehicles))
        (limits / "version.txt").write_text(f"{version}\n")

    def build(self, version: str, *vehicles: str) -> None:
        """Build a release for these vehicles, and sign it as CI does."""
        self.write_inputs(version, *vehicles)
        file = self.folder / "release.toml"
        file.write_text(self.release_file.format(version=version))
        self.tool("build", file)
        self.tool("sign", "--key", self.key("ci"))

    def publish(self, *, check: bool = True) -> tuple[int, str]:
        """Publish what is complete, as CI's last job does."""
        token = self.folder / "author-key"
        return self.tool("publish", self.cloud.api, "--token-file", token, check=check)

    def released(self, version: str, *vehicles: str) -> None:
        """Build, sign, have a person sign, stamp and publish a release."""
        self.build(version, *vehicles)
        self.tool("cosign", "--key", self.key("owner-1"))
        stamp = ("--key", self.key("timestamp-1"), "--snapshot-key", self.key("snapshot-1"))
        self.tool("timestamp", *stamp)
        self.publish()

    def rolled_out(self, name: str, version: str, vehicles: tuple[str, ...] = VEHICLES) -> str:
        """Make a rollout, have it approved by somebody else, and start it; return its id."""
        wish = {
            "name": name,
            "bundle": f"summer/{version}.bundle.json",
            "target": {"query": " or ".join(f'id == "{one}"' for one in vehicles)},
            # All have had their turn before it is judged.
            "waves": [
                {
                    "name": "all",
                    "gate": {"success_percent": 50, "failure_sample_min": len(vehicles)},
                }
            ],
        }
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(wish))
        made = self.fleet("rollout", "create", file).partition(":")[0]
        assert self.post(f"/v1/rollouts/{made}/approve")["state"] == "READY"
        self.fleet("rollout", "start", made)
        return made

    def post(self, path: str) -> Any:
        """Post in the name of who approves."""
        request = asked(self.cloud.api + path, self.approver)
        request.method = "POST"
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def rollout(self, made: str) -> dict[str, Any]:
        """Return a rollout as the API shows it."""
        found = get(f"{self.cloud.api}/v1/rollouts/{made}", self.cloud.key)
        return found if isinstance(found, dict) else {"state": "no answer"}

    def until_state(self, made: str, state: str) -> dict[str, Any]:
        """Wait until a rollout is there, and return it."""

        def is_there() -> bool:
            for one in self.agents.values():
                assert one.is_running, one.said()
            return bool(self.rollout(made)["state"] == state)

        try:
            until(f"{state} of {made}", is_there, within_s=90)
        except AssertionError as error:
            vehicles = get(f"{self.cloud.api}/v1/rollouts/{made}/vehicles", self.cloud.key)
            said = [one.said() for one in self.agents.values()]
            told = "\n".join(map(str, (error, self.rollout(made), vehicles, *said)))
            raise AssertionError(told) from error
        return self.rollout(made)

    def standing(self, made: str, vehicle: str) -> dict[str, Any]:
        """Return how a rollout stands in a vehicle."""
        found = get(f"{self.cloud.api}/v1/rollouts/{made}/vehicles", self.cloud.key)
        assert isinstance(found, dict)
        return next(one for one in found["vehicles"] if one["vehicle"] == vehicle)

    def tells_with_stolen_keys(self, vehicle: str, image: Image) -> None:
        """Tell a vehicle to install an image, as who holds the Director's keys and its database can."""
        config, now_ns = Config(data_dir=self.folder / self.cloud.name), SystemClock().now_ns()
        with open_fleet(config) as fleet:
            director = open_updates(config, fleet.registry, open_artifacts(config)).director
            director.file("default", vehicle, "timestamp.json", now_ns)
            scope, keys = Scope("local", "default"), director_keys(config)("default")
            before = director._files(scope, vehicle)
            assert before is not None
            assert keys is not None
            given = (Given(EcuKnown("limits-1", "limits"), image),)
            order = Instruction(vehicle, "evil", given)
            files = signed_files(order, keys, before.version + 1, now_ns)
            # Under the name of what the cloud itself would say, which so has nothing to sign anew.
            director._put(scope, vehicle, before, replace(files, digest=before.digest))

    def asked(self, vehicle: str, *words: str) -> Any:
        """Run `edge-agent updates` in a vehicle."""
        config = self.folder / vehicle / "edge-agent.toml"
        return json.loads(run("edge-agent", "updates", *words, "--config", config, "--json").stdout)

    def holds(self, vehicle: str) -> str:
        """Return the version that programs of a vehicle open, "" for none."""
        path = self.folder / vehicle / "limits" / "current" / "version.txt"
        return path.read_text().strip() if path.exists() else ""
