"""Whatever is imported is a manifest as any other."""

import pytest

from fairway.errors import BadInput
from fairway.services import foreign_ankaios, foreign_greengrass, foreign_velocitas
from fairway.services.foreign import Image
from fairway.services.manifest import service_digest, service_from_yaml, service_to_yaml
from fairway.services.model import Service
from tests.shared_data import shared

DIGEST = "sha256:" + "a" * 64


def imported() -> list[Service]:
    """Return the services of all foreign manifests that become some."""
    found: list[Service] = []
    for system in ("ankaios", "greengrass", "velocitas"):
        for path in sorted(shared(f"edge/{system}").iterdir()):
            text = path.read_text()
            try:
                if system == "ankaios":
                    made = foreign_ankaios.services_of(text, find=lambda name: Image(DIGEST))
                elif system == "greengrass":
                    made = foreign_greengrass.services_of(text)
                else:
                    made = foreign_velocitas.services_of(text, image=DIGEST)
            except BadInput:
                continue
            found += made.services
    return found


def test_all_that_is_imported_survives_its_manifest():
    services = imported()

    assert len(services) >= 12
    for service in services:
        assert service_digest(service_from_yaml(service_to_yaml(service))) == service_digest(
            service
        )


def test_what_no_manifest_may_say_is_refused_with_its_place():
    text = """
apiVersion: v1
workloads:
  w:
    runtime: podman
    runtimeConfig: '{image: x, commandOptions: ["-v", "store:/etc/ours"]}'
"""
    with pytest.raises(BadInput, match="workloads.w: data: /etc/ours is not for data"):
        foreign_ankaios.services_of(text, find=lambda name: Image(DIGEST))
