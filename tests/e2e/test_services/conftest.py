from pathlib import Path

import pytest

from tests.containers import need
from tests.e2e.services_site import busybox_image, sample_image


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The samples' images, as OCI layouts."""
    need("runc")
    folder = tmp_path_factory.mktemp("images")
    battery = sample_image("battery_health", "battery-health:1.0.0", folder / "battery")
    tyres = sample_image("tyre_pressure", "tyre-watch:1.0.0", folder / "tyres", base=battery)
    return {"battery-health": battery, "tyre-watch": tyres}


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of busybox, as an OCI layout."""
    need("runc")
    return busybox_image(tmp_path_factory.mktemp("busybox"), "docker.io/alpine:latest")
