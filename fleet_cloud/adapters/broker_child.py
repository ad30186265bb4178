"""A broker run by the cloud itself: Mosquitto where it is installed, else the nats-server that pip brings.

Both do the same: mutual TLS 1.3, a vehicle may publish below its own `up/` and subscribe below its own `down/`,
the cloud reads all of `up/` and writes all of `down/`, everything else is denied.

Rule 1: a vehicle, or a certificate of it, that is taken off the list is cut off, and does not come back.
nats-server does that by reading its users again; Mosquitto reads the revocation list again first, then its
dynamic-security plugin is told to drop who is connected: whoever has another certificate comes back with it.
Rule 2: what a broker reads at its start is written whole and says what was told last: a crash forgets nothing.
Rule 3: what Mosquitto cannot be told while it runs, it is started again for: a new authority, or so many
changes that the plugin, which writes everything down after each, would be busy for seconds.
"""

import asyncio
import hashlib
import os
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.fleetwise.topics import Prefixes
from fleet_cloud.adapters.broker_control import BrokerControl
from fleet_cloud.adapters.broker_mosquitto import (
    Command,
    commands,
    dynamic_rules,
    dynamic_security,
    mosquitto_config,
)
from fleet_cloud.adapters.broker_nats import nats_config
from fleet_cloud.adapters.child import Child, reachable
from fleet_cloud.adapters.peer_certificates import user_shown
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import FLEETWISE_NAME
from fleet_cloud.vehicles.rights import FleetWiseUser, changes

log = logs.get("fleet_cloud.broker")

Program = Literal["mosquitto", "nats-server"]
Members = Mapping[str, Member]

_PLUGIN = "mosquitto_dynamic_security.so"
# Debian and its like, Red Hat, BSD, Homebrew.
_PLUGIN_PLACES = (
    "/usr/lib/*",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib/*",
    "/opt/homebrew/lib",
)
# Measured: the plugin needs this for each vehicle to write itself down, after every command.
_PLUGIN_S_A_VEHICLE = 8e-6
# Longer than that nobody should wait for the broker; a start takes less, and everybody connects again.
_TELLING_MAX_S = 4.0


class Broker(Protocol):
    """An MQTT broker whose access rules the cloud keeps.  Contract: tests/contracts/test_broker.py."""

    async def start(self, members: Members) -> None:
        """Return once the broker takes connections of `members` and nobody else.  Raises Unavailable."""
        ...

    async def allow(self, members: Members) -> None:
        """Let exactly `members` in from now on, by exactly their certificates.  Raises Unavailable."""
        ...

    async def stop(self) -> None:
        """End the broker."""
        ...


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """Where a broker listens and keeps its files."""

    folder: Path
    host: str
    port: int
    pki: FilePki
    fleetwise: Prefixes | None = None  # topics of FleetWise's agents, where the fleet has some
    jobs: bool = False  # vehicles may use AWS IoT Jobs

    def fleetwise_user(self, name: str = FLEETWISE_NAME) -> FleetWiseUser | None:
        """Who serves those agents; `name` is what the broker calls him."""
        return FleetWiseUser(name, self.fleetwise) if self.fleetwise else None


def find_program(wanted: str = "any") -> tuple[Program, Path]:
    """Return which broker to run, and its path.  Raises BadInput when there is none."""
    scripts = Path(sysconfig.get_path("scripts"))
    programs: tuple[Program, ...] = ("mosquitto", "nats-server")
    for program in programs:
        if wanted not in ("any", program):
            continue
        if program == "mosquitto" and wanted == "any" and not _plugins():
            continue
        # Debian puts servers where only root looks.
        places = os.pathsep.join([str(scripts), os.defpath, "/usr/local/sbin", "/usr/sbin"])
        found = shutil.which(program) or shutil.which(program, path=places)
        if found is not None:
            return program, Path(found)
    raise BadInput(
        f"no broker to run ({'mosquitto or nats-server' if wanted == 'any' else wanted}): install one, "
        'or name a broker of your own with [broker] mode = "external" and url'
    )


def dynamic_security_plugin() -> Path:
    """Return where Mosquitto's plugin lies.  Raises BadInput when this machine has none."""
    found = _plugins()
    if not found:
        raise BadInput(
            f"Mosquitto is here without its dynamic-security plugin ({_PLUGIN}): install it, or say"
            ' [broker] program = "nats-server"'
        )
    return found[0]


def _plugins() -> list[Path]:
    return [
        found
        for place in _PLUGIN_PLACES
        for found in sorted(Path("/").glob(f"{place[1:]}/{_PLUGIN}"))
    ]


class MosquittoBroker:
    """Mosquitto as a child."""

    def __init__(self, program: Path, place: BrokerPlace, clock: Clock) -> None:
        self._program, self._place, self._clock = program, place, clock
        self._plugin = dynamic_security_plugin()
        self._rules = place.folder / "dynamic-security.json"
        self._config = place.folder / "mosquitto.conf"
        self._child = self._made()
        self._control = BrokerControl(reachable(place.host), place.port, place.pki)
        self._one_at_a_time = asyncio.Lock()
        self._told: Members | None = None  # None: it does not run, or nobody knows what it knows
        self._anchors = self._lists = b""  # hashes of what it read last

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._place.port

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._child.pid

    async def start(self, members: Members) -> None:
        async with self._one_at_a_time:
            await self._start(members)

    async def allow(self, members: Members) -> None:
        async with self._one_at_a_time:
            pki = self._place.pki
            if self._told is None or _hash(pki.anchors) != self._anchors:
                await self._start_again(members)
                return
            lists = _hash(pki.crl)
            if lists != self._lists:
                self._child.reload()
                self._lists = lists
            told = commands(
                changes(self._told, members),
                self._place.fleetwise_user(),
                jobs=self._place.jobs,
            )
            if _telling_s(told, len(members)) > _TELLING_MAX_S:
                await self._start_again(members)
                return
            if told:
                await asyncio.to_thread(self._control.run, told)
                await asyncio.to_thread(_write, self._rules, self._rules_for(members))
            self._told = members

    async def stop(self) -> None:
        await self._child.stop()

    async def _start(self, members: Members) -> None:
        pki = self._place.pki
        self._anchors, self._lists = _hash(pki.anchors), _hash(pki.crl)
        await asyncio.to_thread(_write, self._rules, self._rules_for(members))
        text = mosquitto_config(
            host=self._place.host,
            port=self._place.port,
            folder=self._place.folder,
            rules=dynamic_rules(self._plugin, self._rules),
            ca=pki.anchors,
            crl=pki.crl,
            certificate=pki.server,
            key=pki.server_key,
            user="root" if os.getuid() == 0 else "",
        )
        _write(self._config, text)
        await self._child.start()
        self._told = members

    def _rules_for(self, members: Members) -> str:
        place = self._place
        return dynamic_security(members, place.fleetwise_user(), jobs=place.jobs)

    async def _start_again(self, members: Members) -> None:
        log.info("broker_started_again", vehicles=len(members))
        self._told = None
        await self._child.stop()
        self._child = self._made()
        await self._start(members)

    def _made(self) -> Child:
        place = self._place
        command = [str(self._program), "-c", str(self._config)]
        return Child(command, host=place.host, port=place.port, clock=self._clock)


class NatsBroker:
    """nats-server as a child, with its MQTT listener."""

    def __init__(self, program: Path, place: BrokerPlace, clock: Clock) -> None:
        self._place = place
        self._config = place.folder / "nats-server.conf"
        self._child = Child(
            [str(program), "-c", str(self._config)], host=place.host, port=place.port, clock=clock
        )
        self._read = b""  # a hash of what it read last

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._place.port

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._child.pid

    async def start(self, members: Members) -> None:
        self._read = await asyncio.to_thread(self._write, members)
        await self._child.start()

    async def allow(self, members: Members) -> None:
        written = await asyncio.to_thread(self._write, members)
        if written != self._read:
            self._child.reload()
            self._read = written

    async def stop(self) -> None:
        await self._child.stop()

    def _write(self, members: Members) -> bytes:
        """Write the configuration, and return a hash of everything that it says and names."""
        place, pki = self._place, self._place.pki
        text = nats_config(
            members,
            cloud=_user_of(pki.cloud),
            host=self._place.host,
            port=self._place.port,
            folder=self._place.folder,
            ca=pki.anchors,
            certificate=pki.server,
            key=pki.server_key,
            fleetwise=place.fleetwise_user(_user_of(pki.fleetwise)) if place.fleetwise else None,
            jobs=place.jobs,
        )
        _write(self._config, text)
        return hashlib.sha256(text.encode()).digest() + _hash(pki.anchors)


def _telling_s(told: list[Command], vehicles: int) -> float:
    return len(told) * vehicles * _PLUGIN_S_A_VEHICLE


def _user_of(certificate: Path) -> str:
    return user_shown(_read(certificate))


def _hash(path: Path) -> bytes:
    return hashlib.sha256(_read(path)).digest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), secret=True)
    except OSError as error:
        raise Unavailable(f"cannot write the broker's {path}: {error.strerror}") from error


def make_broker(wanted: str, place: BrokerPlace, clock: Clock) -> MosquittoBroker | NatsBroker:
    """Return the broker to run at `place`.  Raises BadInput when the machine has none."""
    program, path = find_program(wanted)
    if program == "mosquitto":
        return MosquittoBroker(path, place, clock)
    return NatsBroker(path, place, clock)
