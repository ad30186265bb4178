"""The real fleet-cloud serves clients of others: hawkBit's at the device door, AWS's SDK at its broker."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.jobs_site import Device
from tests.e2e.programs import Program, run, until
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

_CLOUD = """\
data_dir = "data"
[api]
listen = "127.0.0.1:{api}"
[grpc]
enabled = false
[broker]
program = "mosquitto"
listen = "127.0.0.1:{mqtt}"
[updates]
enabled = true
listen = "127.0.0.1:{updates}"
[hawkbit]
enabled = true
[jobs]
enabled = true
"""


class Served:
    """The program, and who asks it."""

    program = "mosquitto"

    def __init__(self, folder: Path) -> None:
        api, self.port, updates = free_port(), free_port(), free_port()
        config = folder / "cloud.toml"
        config.write_text(_CLOUD.format(api=api, mqtt=self.port, updates=updates))
        # Known before the broker starts: a device that comes too early is refused, and AWS's SDK gives up.
        run("fleet-cloud", "vehicle", "add", "VIN1", "--out", folder / "VIN1", "--config", config)
        self.cloud = Program("fleet-cloud", "serve", "--config", config, log=folder / "cloud.log")
        self.cloud.start()
        until("the cloud", lambda: " ready " in self.cloud.said(), within_s=60)
        made = run("fleet-cloud", "key", "create", "manager", "--role", "admin", "--tenant", "default",
                   "--config", config)  # fmt: skip
        self.folder, self.url = folder / "VIN1", f"https://127.0.0.1:{updates}"
        self.keys: dict[str, Any] = {"VIN1": self}
        self.ca, self.certificate, self.key = (
            self.folder / name for name in ("ca.pem", "certificate.pem", "key.pem")
        )
        self.manager = httpx.Client(
            base_url=f"{self.url}/rest/v1",
            auth=("manager", made.stdout.strip()),
            verify=ssl.create_default_context(cafile=str(self.ca)),
        )

    def vehicle(self) -> httpx.Client:
        """Return a client with the vehicle's certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return httpx.Client(base_url=f"{self.url}/default/controller/v1/VIN1", verify=context)

    def assign(self) -> int:
        """Upload a file, and assign it to the vehicle."""

        def made(what: str, **wish: Any) -> int:
            done = self.manager.post(f"/{what}", json=[wish])
            assert done.status_code == 201, done.text
            return int(done.json()[0]["id"])

        module = made("softwaremodules", name="os", version="2", type="os")
        files = {"file": ("os.img", b"content")}
        assert self.manager.post(f"/softwaremodules/{module}/artifacts", files=files).is_success
        modules = [{"id": module}]
        together = made("distributionsets", name="os", version="2", type="os", modules=modules)
        given = self.manager.post(
            f"/distributionsets/{together}/assignedTargets", json=[{"id": "VIN1"}]
        )
        assert given.is_success, given.text
        return int(given.json()["assignedActions"][0]["id"])

    def status(self, action: int) -> str:
        """Return how an action stands."""
        return str(self.manager.get(f"/targets/VIN1/actions/{action}").json()["status"])


@pytest.fixture
def served(tmp_path: Path, socket_enabled: None) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.manager.close()
    assert made.cloud.stop() == 0
    made.cloud.close()


def test_one_assignment_is_a_deployment_for_hawkbit_and_survives_a_restart(served: Served):
    action = served.assign()
    with served.vehicle() as vehicle:
        links = vehicle.get(f"{served.url}/default/controller/v1/VIN1").json()["_links"]
        order = vehicle.get(links["deploymentBase"]["href"]).json()
        (artifact,) = order["deployment"]["chunks"][0]["artifacts"]
        url = artifact["_links"]["download"]["href"]
        assert vehicle.get(url, headers={"Range": "bytes=3-"}).content == b"tent"

        served.cloud.kill()
        served.cloud.log.write_text("")
        served.cloud.start()
        until("the cloud again", lambda: " ready " in served.cloud.said(), within_s=60)

        done = {"status": {"execution": "closed", "result": {"finished": "success"}}}
        said = vehicle.post(f"/deploymentBase/{action}/feedback", json=done)
        assert said.status_code == 200, said.text
    assert served.status(action) == "finished"


def test_one_assignment_is_a_job_for_awss_sdk(served: Served):
    device = Device(served, "VIN1")  # type: ignore[arg-type]
    try:
        device.pending()
        action = served.assign()
        told = device.next.get(timeout=20)
        begun = device.start()
        assert begun.job_id == told.execution.job_id
        (image,) = begun.job_document["images"]
        with served.vehicle() as vehicle:
            assert vehicle.get(image["url"]).content == b"content"
        device.update(begun.job_id, "SUCCEEDED")
        assert served.status(action) == "finished"
    finally:
        device.close()
