"""A service goes from a signed release into a container of a vehicle, and back when it is not well."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from edge_agent.adapters.trial_folders import cleaned, made_in
from tests.containers import need
from tests.e2e.programs import run, until
from tests.e2e.services_site import busybox_image
from tests.e2e.update_site import UpdateSite

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

VEHICLE = "CAR-1"

UPDATES = """
[services]
dir = "services"
run_dir = "{trust}/run"

[updates]
director_root = "{trust}/director.root.json"
image_root = "{trust}/image.root.json"
poll_s = 600
conditions = []
health_within_s = 60
health_for_s = 0

[[updates.ecu]]
serial = "speaker"
hardware_id = "apps"
kind = "container"
"""

RELEASE = """
name = "summer"
version = "{version}"

[[component]]
kind = "container"
name = "speaker"
path = "image"
service = "speaker.yaml"
hardware_ids = ["apps"]
"""

WELL = "trap 'exit 0' TERM; echo {version}; while :; do /bin/busybox sleep 1; done"
ILL = "echo {version} does not start; exit 3"


class ContainerSite(UpdateSite):
    """One vehicle, one service."""

    vehicles = (VEHICLE,)
    updates = UPDATES
    release_file = RELEASE
    does = WELL

    def write_inputs(self, version: str, *_: str) -> None:
        manifest = {
            "name": "speaker",
            "version": version,
            "command": ["/bin/busybox", "sh", "-c", self.does.format(version=version)],
            "stop": {"grace_s": 1},
            "health": {"within_s": 20},
        }
        (self.folder / "speaker.yaml").write_text(json.dumps(manifest))
        layer = self.folder / "layer"
        layer.mkdir(exist_ok=True)
        (layer / "version").write_text(version)
        shutil.rmtree(self.folder / "image", ignore_errors=True)
        run(
            "fairway", "image", "build", "--base", self.folder / "busybox-image",
            "--layer", f"{layer}:etc", "--name", "localhost/speaker", "--output", self.folder / "image",
        )  # fmt: skip

    def runs(self, version: str) -> bool:
        """Whether this version of the service is in force and well."""
        why = ask(self.folder / VEHICLE / "spool" / SOCKET_NAME, "why", name="speaker")
        return bool(why["ready"] and why["in_force"]["version"] == version)


@pytest.fixture
def site() -> Iterator[ContainerSite]:
    need("runc")
    need("busybox")
    folder = Path(tempfile.mkdtemp(prefix="fwc-"))  # short: sockets lie in it
    try:
        with ExitStack() as stack:
            made = ContainerSite(folder, stack)
            services = folder / VEHICLE / "services"
            stack.callback(lambda: asyncio.run(cleaned(services, made_in(services))))
            busybox_image(folder, "localhost/speaker:1")
            made.open()
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_service_is_released_and_a_bad_version_of_it_goes_back(site: ContainerSite):
    site.released("1.0.0")
    site.until_state(site.rolled_out("first", "1.0.0", (VEHICLE,)), "FINISHED")
    assert site.runs("1.0.0")

    site.does = ILL
    site.released("1.1.0")
    made = site.rolled_out("second", "1.1.0", (VEHICLE,))
    site.until_state(made, "PAUSED")
    assert site.standing(made, VEHICLE)["stage"] == "rolled_back"
    until("the one before", lambda: site.runs("1.0.0"))
