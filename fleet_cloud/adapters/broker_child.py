"""A broker run by the cloud itself: Mosquitto where it is installed, else the nats-server that pip brings.

Both do the same: mutual TLS, a vehicle may publish below its own `up/` and read below its own `down/`, the
cloud reads all of `up/` and writes all of `down/`, everything else is denied.

Rule 1: access rules are written whole, then the broker is told to read them again.
Rule 2: a vehicle that is taken off the list is denied from then on, connected or not.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters.broker_mosquitto import mosquitto_access, mosquitto_config
from fleet_cloud.adapters.broker_nats import nats_config
from fleet_cloud.adapters.child import Child
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.whole_files import write_whole

Program = Literal["mosquitto", "nats-server"]


class Broker(Protocol):
    """An MQTT broker whose access rules the cloud keeps.  Contract: tests/contracts/test_broker.py."""

    async def start(self, vehicles: Iterable[str]) -> None:
        """Return once the broker takes connections of `vehicles` and nobody else.  Raises Unavailable."""
        ...

    async def allow(self, vehicles: Iterable[str]) -> None:
        """Let exactly `vehicles` in from now on.  Raises Unavailable."""
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


def find_program(wanted: str = "any") -> tuple[Program, Path]:
    """Return which broker to run, and its path.  Raises BadInput when there is none."""
    scripts = Path(sysconfig.get_path("scripts"))
    programs: tuple[Program, ...] = ("mosquitto", "nats-server")
    for program in programs:
        if wanted not in ("any", program):
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


class MosquittoBroker:
    """Mosquitto as a child."""

    def __init__(self, program: Path, place: BrokerPlace, clock: Clock) -> None:
        self._place = place
        self._access = place.folder / "access"
        self._config = place.folder / "mosquitto.conf"
        self._child = Child(
            [str(program), "-c", str(self._config)], host=place.host, port=place.port, clock=clock
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._place.port

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._child.pid

    async def start(self, vehicles: Iterable[str]) -> None:
        _write(self._access, mosquitto_access(vehicles))
        pki = self._place.pki
        text = mosquitto_config(
            host=self._place.host,
            port=self._place.port,
            folder=self._place.folder,
            access=self._access,
            ca=pki.anchors,
            certificate=pki.server,
            key=pki.server_key,
            user="root" if os.getuid() == 0 else "",
        )
        _write(self._config, text)
        await self._child.start()

    async def allow(self, vehicles: Iterable[str]) -> None:
        _write(self._access, mosquitto_access(vehicles))
        self._child.reload()

    async def stop(self) -> None:
        await self._child.stop()


class NatsBroker:
    """nats-server as a child, with its MQTT listener."""

    def __init__(self, program: Path, place: BrokerPlace, clock: Clock) -> None:
        self._place = place
        self._config = place.folder / "nats-server.conf"
        self._child = Child(
            [str(program), "-c", str(self._config)], host=place.host, port=place.port, clock=clock
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._place.port

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._child.pid

    async def start(self, vehicles: Iterable[str]) -> None:
        self._write(vehicles)
        await self._child.start()

    async def allow(self, vehicles: Iterable[str]) -> None:
        self._write(vehicles)
        self._child.reload()

    async def stop(self) -> None:
        await self._child.stop()

    def _write(self, vehicles: Iterable[str]) -> None:
        pki = self._place.pki
        text = nats_config(
            vehicles,
            host=self._place.host,
            port=self._place.port,
            folder=self._place.folder,
            ca=pki.anchors,
            certificate=pki.server,
            key=pki.server_key,
        )
        _write(self._config, text)


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
