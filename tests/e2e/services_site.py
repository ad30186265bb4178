"""A vehicle with services as an operator runs one: a real agent, real containers, images built once a session.

    images(folder)           the samples' images, and one of busybox
    vehicle(folder, ...)     an agent with [services]; at the end nothing of its services is left

Containers need root and runc; without them a test fails in CI and is skipped, saying so, elsewhere.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from edge_agent.adapters.trial_folders import cleaned, made_in
from tests.containers import need
from tests.e2e.programs import Program, run, until
from tests.shared_data import ROOT
from tests.yards import busybox_layer

SAMPLES = ROOT / "edge_agent" / "samples"
DBC = ROOT / "dbc"
OVERLAYS = (
    DBC / "fairway_ev.vspec",
    SAMPLES / "tyre_pressure" / "fairway_ev.vspec",
    SAMPLES / "tyre_pressure" / "signals.vspec",
    SAMPLES / "battery_health" / "signals.vspec",
)
SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = [{dbc}]
[signals]
catalogs = [{catalog}]
overlays = {overlays}
[telemetry]
collect = "none"
[replay]
log = {log}
speed = {speed}
resume = false
after_services = {after_services}
[spool]
dir = {spool}
[onboard]
trust_socket = true
[services]
dir = {services}
run_dir = {run_dir}
processes = {processes}
usage_interval_s = 0.5
"""


def sample_image(sample: str, name: str, to: Path, base: Path | None = None) -> Path:
    """Build the image of a sample with `fairway image build`, and return its layout.

    All samples' layers are the same: the second image may begin with the first.
    """
    layers = [
        "--python", "--package", "grpcio", "--package", "protobuf",
        "--layer", f"{ROOT}/fairway/foreign/kuksa:app/fairway/foreign/kuksa",
        "--layer", f"{SAMPLES}:app/edge_agent/samples", "--env", "PYTHONPATH=/app",
    ]  # fmt: skip
    run(
        "fairway", "image", "build", *(layers if base is None else ["--base", base]),
        "--entrypoint", f"/usr/bin/python3 -m edge_agent.samples.{sample}",
        "--name", name, "--output", to,
    )  # fmt: skip
    return to


def busybox_image(folder: Path, name: str) -> Path:
    """Build an image of busybox alone, and return its layout."""
    layout, layer = folder / "busybox-image", busybox_layer(folder)
    for applet in ("sh", "sleep"):
        if not (layer / "bin" / applet).is_symlink():
            (layer / "bin" / applet).symlink_to("busybox")
    run(
        "fairway", "image", "build", "--layer", f"{layer}:", "--env", "PATH=/bin",
        "--command", "/bin/sh", "--name", name, "--output", layout,
    )  # fmt: skip
    return layout


def digest_of(layout: Path) -> str:
    """Return the digest of the only image of a layout."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(entry["digest"])


@dataclass(frozen=True, slots=True)
class ServiceVehicle:
    """A vehicle with services."""

    folder: Path
    config: Path
    agent: Program

    def services(
        self, *arguments: object, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run `edge-agent services ...` before its agent."""
        words = [str(one) for one in arguments]
        return run("edge-agent", "services", *words, "--config", self.config, check=check)

    def asked(self, question: str, **more: Any) -> Any:
        """Ask its desk, as the commands do: for what is asked again and again."""
        return ask(self.folder / "data" / "spool" / SOCKET_NAME, question, **more)

    def statuses(self) -> Mapping[str, dict[str, Any]]:
        """Return how all services stand."""
        return {one["name"]: one for one in self.asked("list")}

    def has_said(self, name: str, words: str) -> bool:
        """Whether a service said this."""
        return any(words in line for line in self.asked("logs", name=name, last=1000))

    def until(self, name: str, *states: str, within_s: float = 60.0) -> None:
        """Wait until a service is in one of these states."""
        until(
            f"{name} {' or '.join(states)}",
            lambda: self.statuses().get(name, {}).get("state") in states,
            within_s=within_s,
        )


@contextmanager
def vehicle(
    folder: Path,
    log: Path,
    *,
    speed: float = 20.0,
    after_services: bool = False,
    processes: tuple[str, ...] = (),
    more: str = "",
) -> Iterator[ServiceVehicle]:
    """Run an agent with services; at its end they are ended, too.  `more` are lines of [services]."""
    need("runc")
    short = Path(tempfile.mkdtemp(prefix="fws-"))  # of sockets: their paths have limits
    config = folder / "agent.toml"
    config.write_text(
        SETTINGS.format(
            dbc=json.dumps(str(DBC / "fairway_ev.dbc")),
            catalog=json.dumps(str(DBC / "fairway_vss.json")),
            overlays=json.dumps([str(one) for one in OVERLAYS]),
            log=json.dumps(str(log)),
            speed=speed,
            after_services=json.dumps(after_services),
            spool=json.dumps(str(folder / "data" / "spool")),
            services=json.dumps(str(folder / "services")),
            run_dir=json.dumps(str(short)),
            processes=json.dumps(list(processes)),
        )
        + more
    )
    agent = Program("edge-agent", "run", "--config", config, log=folder / "agent.log").start()
    made = ServiceVehicle(folder, config, agent)
    try:
        until("the agent", lambda: "onboard_listen" in agent.said() or not agent.is_running)
        desk = folder / "data" / "spool" / SOCKET_NAME
        until("the desk", lambda: desk.exists() or not agent.is_running)
        assert agent.is_running, agent.said()
        yield made
        if agent.is_running:
            assert agent.stop() == 0, agent.said()
    finally:
        agent.close()
        services = folder / "services"
        asyncio.run(cleaned(services, made_in(services)))
        shutil.rmtree(short, ignore_errors=True)
