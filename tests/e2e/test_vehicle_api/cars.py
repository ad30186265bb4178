"""A car for the tests of its doors: a real agent that replays a real Tesla drive in real time, 40 s of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.programs import Program, until
from tests.onboard_apps import Issuer
from tests.ports import free_port
from tests.shared_data import shared

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "vcan0"
databases = ["{data}/it-can.dbc"]
[signals]
catalogs = ["{data}/it-vss_4.0-dogmode.json"]
overlays = ["{data}/it-mapping.vspec"]
[replay]
log = "{data}/it-candump0.log"
speed = 1
[spool]
dir = "data/spool"
[onboard]
keys = ["issuer/apps.pub"]
"""


@dataclass(frozen=True, slots=True)
class Car:
    """A car that drives."""

    folder: Path
    port: int  # of the gRPC door
    viss_port: int
    issuer: Issuer
    agent: Program


@contextmanager
def car_of(folder: Path, *, door: str) -> Iterator[Car]:
    """Start an agent; `door` is what [onboard] says more, with {port} and {viss_port} in it."""
    port, viss_port, issuer = free_port(), free_port(), Issuer(folder / "issuer")
    config = folder / "agent.toml"
    config.write_text(
        SETTINGS.format(data=shared("edge/tesla_model3"))
        + door.format(port=port, viss_port=viss_port)
        + "\n"
    )
    agent = Program("edge-agent", "run", "--config", config, log=folder / "agent.log").start()
    until("the door", lambda: not agent.is_running or "onboard_listen" in agent.said())
    try:
        yield Car(folder, port, viss_port, issuer, agent)
    finally:
        agent.close()
