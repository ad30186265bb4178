"""A cloud with campaigns, as its author and somebody who approves use it, and vehicles that replay drives."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.programs import Program, run, until
from tests.e2e.scene import Cloud

AGENT = """\
[vehicle]
id = "{vehicle}"
{buses}
[replay]
log = "{log}"
speed = {speed}

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
    """A cloud, with the keys of an author and of somebody who approves."""

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


def campaign_agent(
    folder: Path,
    *,
    url: str,
    log: Path,
    databases: dict[str, Path],
    speed: str = '"max"',
    more: str = "",
    arguments: tuple[str, ...] = (),
) -> Program:
    """Write the settings of an agent that collects by campaigns only, and return it, not started."""
    buses = "\n".join(
        f'[[bus]]\nname = "{name}"\ndatabases = ["{path}"]' for name, path in databases.items()
    )
    config = folder / "edge-agent.toml"
    config.write_text(
        AGENT.format(vehicle=folder.name, buses=buses, log=log, speed=speed, url=url, more=more)
    )
    return Program(
        "edge-agent", "run", "--config", config, *arguments, log=folder / "edge-agent.log"
    )
