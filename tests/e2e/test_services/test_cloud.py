"""From `fleet-cloud image push` to a container in a vehicle and back: the real programs, and real runc."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.trial_folders import cleaned, made_in
from tests.containers import need
from tests.e2e.programs import Program, run, until
from tests.e2e.services_site import busybox_image, digest_of
from tests.e2e.test_campaigns.stand import CampaignCloud
from tests.shared_data import ROOT

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

AGENT = """\
[vehicle]
id = "{vehicle}"
[[bus]]
name = "can0"
databases = ["{dbc}"]
source = "unix:{folder}/can0.sock"
[telemetry]
collect = "all"
[spool]
dir = "spool"
[uplink]
url = "{url}"
ca = "ca.pem"
certificate = "certificate.pem"
key = "key.pem"
[services]
dir = "services"
run_dir = "{run_dir}"
"""
# What a service does here: it says so, and goes on until it is told to end.
SAYS = (
    "trap 'exit 0' TERM; echo {word} $(/bin/busybox id -u); while :; do /bin/busybox sleep 1; done"
)


class Site:
    """A cloud, and a vehicle whose agent knows no service but what the cloud orders."""

    def __init__(self, folder: Path, vehicle: str, scheme: str) -> None:
        need("runc")
        need("busybox")
        self.folder, self.vehicle = folder / vehicle, vehicle
        self.run_dir = Path(tempfile.mkdtemp(prefix="fws-"))
        self.cloud = CampaignCloud(folder, "[services]\napproval = []\n")
        self.scheme = scheme
        self.agent = Program(
            "edge-agent", "run", "--config", self.folder / "agent2.toml", log=folder / "agent.log"
        )

    def start(self) -> None:
        self.cloud.start()
        self.cloud.add_vehicle(self.vehicle)
        port = self.cloud.grpc_port if self.scheme == "grpcs" else self.cloud.mqtt_port
        url = f"{self.scheme}://localhost:{port}"
        settings = AGENT.format(
            vehicle=self.vehicle,
            dbc=ROOT / "dbc" / "fairway_ev.dbc",
            folder=self.run_dir,
            url=url,
            run_dir=self.run_dir / "s",
        )
        (self.folder / "agent2.toml").write_text(settings)
        self.agent.start()

    def close(self) -> None:
        self.agent.close()
        services = self.folder / "services"
        asyncio.run(cleaned(services, made_in(services)))
        self.cloud.program.close()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def apply(self, image: str, version: str, word: str) -> Any:
        manifest = {
            "name": "speaker",
            "version": version,
            "image": image,
            "command": ["/bin/busybox", "sh", "-c", SAYS.format(word=word)],
            "stop": {"grace_s": 1},
            "health": {"within_s": 20},
        }
        wish = {"manifest": manifest, "vehicle": self.vehicle}
        return self.cloud.ask("POST", "/v1/services", wish)

    def told(self) -> dict[str, Any]:
        """How the service stands, as the cloud has heard it."""
        shown = self.cloud.ask("GET", f"/v1/vehicles/{self.vehicle}/services")
        return next((one for one in shown["services"] if one["service"] == "speaker"), {})

    def asked(self, method: str, path: str, body: object = None) -> Any:
        """Ask the vehicle about its service, and return its answer."""
        at = f"/v1/vehicles/{self.vehicle}/services/speaker/{path}"
        said = self.cloud.ask(method, at, body)
        until("an answer", lambda: self._answer(said) is not None, within_s=30)
        return self._answer(said)

    def _answer(self, said: dict[str, Any]) -> Any:
        found = self.cloud.ask("GET", f"/v1/commands/{said['id']}")
        return None if found["state"] == "open" else found


@pytest.fixture(params=["mqtts"])  # its images come over gRPC all the same
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, "CAR7", request.param)
    try:
        site.start()
        yield site
    finally:
        site.close()


def test_a_service_goes_from_the_cloud_into_a_container_and_is_changed_asked_and_removed(
    site: Site, tmp_path: Path
):
    layout = busybox_image(tmp_path, "localhost/speaker:1")
    image = digest_of(layout)
    made = site.apply(image, "1.0.0", "first")
    until("the vehicle's word", lambda: site.told() != {} or not site.agent.is_running, within_s=60)
    assert site.agent.is_running, site.agent.said()
    assert site.told()["state"] == "Pending"  # its image is nowhere yet

    run("fleet-cloud", "image", "push", layout, *site.cloud.options)
    # What the cloud did not have is asked for seldom: a restart of the agent asks at once.
    site.agent.stop()
    site.agent.start()
    until("it runs", lambda: site.told().get("ready") is True, within_s=90)
    assert (site.told()["version"], site.told()["image"]) == ("1.0.0", image)
    assert site.told()["isolated"] is True

    lines = site.asked("GET", "logs?lines=5")["answer"]["lines"]
    assert any("first" in line for line in lines)
    assert site.asked("GET", "why")["state"] == "succeeded"

    site.apply(image, "1.1.0", "second")
    until(
        "the change",
        lambda: (site.told().get("version"), site.told().get("ready")) == ("1.1.0", True),
        within_s=90,
    )
    site.asked("POST", "restart")
    until("it runs again", lambda: site.told().get("ready") is True, within_s=60)
    site.asked("POST", "stop")
    until("it is stopped", lambda: site.told().get("ready") is False, within_s=60)

    site.cloud.ask("DELETE", f"/v1/services/{made['id']}")
    until("it is gone", lambda: site.told().get("state", "Removed") == "Removed", within_s=60)
