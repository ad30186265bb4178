"""A cloud with campaigns, as its author and somebody who approves use it, and vehicles that replay drives."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.e2e.programs import Program, run, until
from tests.e2e.scene import EMBEDDED_BROKER, Cloud
from tests.ports import free_port

AGENT = """\
[vehicle]
id = "{vehicle}"
{buses}
[telemetry]
collect = "none"

[spool]
dir = "spool"

[uplink]
url = "{url}"
ca = "ca.pem"
certificate = "certificate.pem"
key = "key.pem"
{more}
"""


class CampaignCloud(Cloud):
    """A cloud, with the keys of an author and of somebody who approves; its broker has a port of its own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.mqtt_port = free_port()
        broker = EMBEDDED_BROKER.format(port=self.mqtt_port, program="any")
        super().__init__(folder, f"{broker}{more}")

    def start(self) -> None:
        super().start()
        made = run(
            "fleet-cloud", "key", "create", "approver", "--role", "fleet-manager", *self.options
        )
        self.approver = made.stdout.strip()

    def ask(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """Return what the API answers, as JSON; fails with the answer when it is a refusal."""
        request = urllib.request.Request(
            f"{self.api}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {key or self.key}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path} -> {error.code}: {error.read()!r}") from error
        return json.loads(said) if said else None

    def run_campaign(self, document: dict[str, Any], *vehicles: str) -> None:
        """Write a campaign for vehicles, have it approved by somebody else, and start it."""
        target = " or ".join(f'id == "{vehicle}"' for vehicle in vehicles)
        wish = {"campaign": document, "target": {"query": target}}
        if len(vehicles) == 1:
            wish["target"] = {"vehicle": vehicles[0]}
        self.ask("POST", "/v1/campaigns", wish)
        name = document["name"]
        self.ask("POST", f"/v1/campaigns/{name}/approve", key=self.approver)
        self.ask("POST", f"/v1/campaigns/{name}/start")

    def campaign(self, name: str) -> dict[str, Any]:
        """Return a campaign as the API tells it."""
        found = self.ask("GET", f"/v1/campaigns/{name}")
        assert isinstance(found, dict)
        return found

    def standing(self, name: str, vehicle: str) -> dict[str, Any]:
        """Return how a campaign stands in a vehicle; nothing while the vehicle has said nothing."""
        found = self.ask("GET", f"/v1/campaigns/{name}/vehicles")
        return next((one for one in found["vehicles"] if one["vehicle"] == vehicle), {})

    def until_running(self, name: str, vehicle: str) -> None:
        """Wait until a vehicle says that it runs a campaign."""
        until(
            f"{name} in {vehicle}",
            lambda: self.standing(name, vehicle).get("status") == "healthy",
            within_s=30,
        )

    def events(self, name: str, vehicle: str = "") -> list[dict[str, Any]]:
        """Return the events of a campaign that have arrived, the oldest first."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            asked = {"vehicle": vehicle, "before": page["next"], "limit": 1000}
            page = self.ask("GET", f"/v1/campaigns/{name}/events?{urlencode(asked)}")
            found += page["events"]
        return sorted(found, key=lambda one: int(one["time_ns"]))

    def data(self, name: str, vehicle: str, signal: str) -> list[tuple[int, Any]]:
        """Return the samples of a signal that a campaign has brought, in order of time."""
        asked = {"vehicle": vehicle, "signal": signal, "limit": 1_000_000, "format": "json"}
        found = self.ask("GET", f"/v1/campaigns/{name}/data?{urlencode(asked)}")
        return list(zip(found["time_ns"], found["value"], strict=True))


def campaign_agent(
    folder: Path,
    *,
    url: str,
    log: Path | None,
    databases: dict[str, Path],
    speed: str = '"max"',
    more: str = "",
    arguments: tuple[str, ...] = (),
) -> Program:
    """Write the settings of an agent that collects by campaigns only, and return it, not started.

    Without a log it listens to a bus on a socket beside its settings, called like the bus.
    """
    buses = "\n".join(
        f'[[bus]]\nname = "{name}"\ndatabases = ["{path}"]'
        + (f'\nsource = "unix:{folder / name}.sock"' if log is None else "")
        for name, path in databases.items()
    )
    if log is not None:
        buses += f'\n[replay]\nlog = "{log}"\nspeed = {speed}'
    config = folder / "edge-agent.toml"
    config.write_text(AGENT.format(vehicle=folder.name, buses=buses, url=url, more=more))
    return Program(
        "edge-agent", "run", "--config", config, *arguments, log=folder / "edge-agent.log"
    )
