"""What was made by boto3 is what an agent of FleetWise is given: its decoder manifest."""

from pathlib import Path
from typing import Any

import pytest

from fleet_cloud.adapters.fleetwise_manifests import ManifestFiles
from fleet_cloud.adapters.fleetwise_plane import KeptModels
from fleet_cloud.models.documents import Kind, Reference
from tests.fleet_cloud.api.compat.conftest import Door

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


def manifests(door: Door, folder: Path, tenants: dict[str, str]) -> ManifestFiles:
    return ManifestFiles(folder, lambda: tenants, KeptModels(door.cloud.documents, lambda: tenants))


def test_an_agent_is_given_the_manifest_of_its_vehicle(door: Door, tenant: str, tmp_path: Path):
    vehicle = f"CAR-{tenant}"
    door.small_account(tenant, vehicle)
    found = manifests(door, tmp_path, {vehicle: tenant}).of_vehicle(vehicle)

    assert found is not None
    (signal,) = found.manifest.can
    assert (signal.frame_id, signal.length_bits, signal.factor) == (291, 16, 0.01)
    assert found.names.name(signal.id) == "Vehicle.Speed"


def test_a_vehicle_that_was_made_otherwise_or_is_anothers_has_none(
    door: Door, tenant: str, tmp_path: Path
):
    vehicle = f"CAR-{tenant}"
    door.small_account(tenant, vehicle)
    known = manifests(door, tmp_path, {vehicle: "somebody-else", "OTHER": tenant})

    assert [known.of_vehicle(name) for name in (vehicle, "OTHER", "NOBODY")] == [None] * 3


def test_a_model_is_read_once_for_all_of_its_vehicles(door: Door, tenant: str):
    vehicle = f"CAR-{tenant}"
    door.small_account(tenant, vehicle)
    models = KeptModels(door.cloud.documents, lambda: {vehicle: tenant})
    first: Any = models(vehicle)
    held = door.cloud.documents._kept[tenant].pop(Reference(Kind.DECODER_SIGNALS, "car"))

    assert models(vehicle) is first
    door.cloud.documents._kept[tenant][held.reference] = held
