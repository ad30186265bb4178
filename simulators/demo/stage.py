"""The stage of a demo: a folder, the cloud and an agent for each vehicle, as an operator would set them up.

DIR/cloud          the cloud's data
DIR/claim          what vehicles enrol with, once each
DIR/trust          what vehicles trust updates by, from the start
DIR/<VIN>          a vehicle's identity, configuration and spool, and the speed limits that it holds
DIR/logs           what the programs say
"""

import asyncio
import json
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.config import endpoint
from simulators.demo import http
from simulators.demo.programs import Program, run_once
from simulators.demo.traffic import Car
from simulators.vehicle import DATABASES

# Who can sign in, and what vehicles enrol with.
PERSON = "demo"
CLAIM = "demo"

# What is updated in each vehicle: a folder, which an ECU of this name opens.
LIMITS = "speed-limits"
LIMITS_FILE = "limits.txt"

# The first start makes keys, a registry and a store: 2 s on a small machine, more on a busy one.
READY_S = 60.0

_CLOUD = """\
[api]
listen = "{api}"
{access}
[grpc]
listen = "127.0.0.1:0"
[broker]
listen = "127.0.0.1:0"
[updates]
enabled = true
listen = "127.0.0.1:0"
"""

_AGENT = """\
[vehicle]
id = "{vin}"

{buses}
[signals]
catalogs = [{catalog}]
overlays = [{overlays}]

[telemetry]
batch_max_age_ms = 500

[spool]
dir = "spool"

[identity]
folder = "identity"

[uplink]
url = "{url}"

[metrics]
listen = "127.0.0.1:{metrics}"

[updates]
director_root = {director_root}
image_root = {image_root}
conditions = []
health_within_s = 3
health_for_s = 0
health_command = ["grep", "-q", "^{profile} ", {limits_file}]

[[updates.ecu]]
serial = "{limits}"
hardware_id = "{limits}"
kind = "file"
folder = {folder}
"""

_BUS = """\
[[bus]]
name = "{name}"
source = {source}
databases = [{database}]
"""

_FILES = {
    "ev": (("fairway_ev", "fairway_ev_fd"), ("fairway_ev", "fairway_ev_fd")),
    "truck": (("fairway_truck",), ("fairway_truck",)),
}


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent and where its metrics are."""

    program: Program
    metrics: str  # URL


class Stage:
    """Everything that is started as a program."""

    def __init__(self, folder: Path, api: str, uplink: str) -> None:
        self._folder = folder
        self._uplink = uplink
        self.api = f"http://{api}"
        # Whoever shows a demo to others does so without TLS; people sign in on this machine only.
        self.is_here = endpoint(api).is_loopback
        access = "sign_in = true" if self.is_here else "plain = true"
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            (folder / "cloud.toml").write_text(_CLOUD.format(api=api, access=access))
        except OSError as error:
            raise BadInput(f"the demo cannot use {folder}: {error.strerror}") from error
        self._cloud_options = ("--config", folder / "cloud.toml", "--data", folder / "cloud")
        self._cloud = Program(
            "fleet-cloud",
            ["fleet-cloud", "serve", *self._cloud_options],
            folder / "logs" / "cloud.log",
        )
        self.agents: list[Agent] = []
        self._approver = ""
        self._approving = asyncio.Lock()

    @property
    def key_file(self) -> Path:
        """Where the cloud wrote the key of its first administrator."""
        return self._folder / "cloud" / "admin-key"

    @property
    def password_file(self) -> Path:
        """Where the password of who can sign in is."""
        return self._folder / "demo-password"

    def key(self) -> str:
        """Return that key.  Raises Unavailable."""
        try:
            return self.key_file.read_text().strip()
        except OSError as error:
            raise Unavailable(f"the cloud has left no key in {self.key_file}: {error}") from error

    async def approver_key(self) -> str:
        """Return the key of somebody who may approve what the administrator wrote.  Raises Unavailable."""
        grant = ("--role", "fleet-manager", *self._cloud_options)
        async with self._approving:
            if not self._approver:
                made = await run_once("fleet-cloud", "key", "create", "demo-approver", *grant)
                self._approver = made.strip()
        return self._approver

    async def open_cloud(self) -> None:
        """Start the cloud and wait until it answers.  Raises Unavailable."""
        await self._cloud.start()
        deadline = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < deadline:
            self._cloud.check()
            if await http.answers(f"{self.api}/healthz"):
                return
            await asyncio.sleep(0.1)
        raise Unavailable(f"the cloud did not answer at {self.api} within {READY_S:.0f} s")

    async def add_person(self) -> None:
        """Have somebody who can sign in."""
        try:
            if not self.password_file.exists():
                write_whole(
                    self.password_file, f"{secrets.token_urlsafe(15)}\n".encode(), secret=True
                )
                options = ("--password-file", self.password_file, *self._cloud_options)
                grant = ("--role", "operator", "--tenant", "*")
                await run_once("fleet-cloud", "user", "add", PERSON, *grant, *options)
        except OSError as error:
            raise Unavailable(f"cannot write {self.password_file}: {error.strerror}") from error

    async def open_agents(self, cars: Sequence[Car], image_root: Path) -> None:
        """Enrol every car, give it what it trusts updates by, and start its agent."""
        await asyncio.gather(
            self._enrol([car.vehicle.vin for car in cars]), self._found(image_root)
        )
        for car in cars:
            folder = self._folder / car.vehicle.vin
            metrics = free_port()
            (folder / "edge-agent.toml").write_text(self._agent_settings(car, metrics))
            program = Program(
                f"edge-agent of {car.vehicle.vin}",
                ["edge-agent", "run", "--config", folder / "edge-agent.toml"],
                self._folder / "logs" / f"{car.vehicle.vin}.log",
            )
            self.agents.append(Agent(program, f"http://127.0.0.1:{metrics}/metrics"))
            await program.start()

    async def _enrol(self, vins: Sequence[str]) -> None:
        """Have each vehicle make its key and get its certificate, as at its first start anywhere."""
        fresh = [vin for vin in vins if not (self._folder / vin / "identity").exists()]
        if not fresh:
            return
        to_claim: tuple[str | Path, ...] = ("--vehicles", *fresh, *self._cloud_options)
        if self._claim.exists():
            await run_once("fleet-cloud", "claim", "allow", CLAIM, *to_claim)
        else:
            await run_once("fleet-cloud", "claim", "create", CLAIM, *to_claim, "--out", self._claim)
        for vin in fresh:
            identity = self._folder / vin / "identity"
            with_claim = ("--claim", self._claim, "--vehicle", vin, "--folder", identity)
            await run_once("edge-agent", "enroll", *with_claim)

    async def _found(self, image_root: Path) -> None:
        """Have a Director, and both roots where vehicles find them."""
        if self._trust.exists():
            return
        await run_once("fleet-cloud", "rollout", "init", *self._cloud_options)
        root = await run_once("fleet-cloud", "rollout", "root", *self._cloud_options)
        self._put_roots(root.encode(), image_root)

    def _put_roots(self, director: bytes, image_root: Path) -> None:
        whole = self._trust.with_suffix(".new")
        try:
            whole.mkdir(exist_ok=True)
            (whole / "director.root.json").write_bytes(director)
            (whole / "image.root.json").write_bytes(image_root.read_bytes())
            whole.rename(self._trust)
        except OSError as error:
            raise Unavailable(f"cannot write {self._trust}: {error.strerror}") from error

    @property
    def _trust(self) -> Path:
        return self._folder / "trust"

    @property
    def _claim(self) -> Path:
        return self._folder / "claim"

    def check(self) -> None:
        """Raise Unavailable when a program has ended by itself."""
        self._cloud.check()
        for agent in self.agents:
            agent.program.check()

    async def close(self) -> None:
        """Stop the agents, then the cloud."""
        await asyncio.gather(*(agent.program.stop() for agent in self.agents))
        await self._cloud.stop()

    def _agent_settings(self, car: Car, metrics: int) -> str:
        databases, overlays = _FILES[car.profile]
        limits = self._folder / car.vehicle.vin / LIMITS
        url = _url_of(self._claim / "endpoints.json", self._uplink)
        buses = "\n".join(
            _BUS.format(
                name=name,
                source=_quoted(f"unix:{car.socket}#{number}"),
                database=_quoted(DATABASES / f"{database}.dbc"),
            )
            for number, (name, database) in enumerate(
                zip(car.vehicle.bus_names, databases, strict=True)
            )
        )
        return _AGENT.format(
            vin=car.vehicle.vin,
            buses=buses,
            catalog=_quoted(DATABASES / "fairway_vss.json"),
            overlays=", ".join(_quoted(DATABASES / f"{name}.vspec") for name in overlays),
            url=url,
            metrics=metrics,
            director_root=_quoted(self._trust / "director.root.json"),
            image_root=_quoted(self._trust / "image.root.json"),
            profile=car.profile,
            limits=LIMITS,
            limits_file=_quoted(limits / "current" / LIMITS_FILE),
            folder=_quoted(limits),
        )


def _quoted(text: str | Path) -> str:
    """Return a TOML string; where people may put quotes, JSON's are the same."""
    return json.dumps(str(text), ensure_ascii=False)


def _url_of(endpoints: Path, uplink: str) -> str:
    """Return where the cloud said that it is reached by this kind of uplink."""
    url = str(json.loads(endpoints.read_bytes()).get(f"{uplink}_url", ""))
    if not url:
        raise Unavailable(f"the cloud has no {uplink} door: {endpoints} names none")
    return url


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
