"""What was made by boto3 is what an agent of FleetWise is given: its decoder manifest."""

from pathlib import Path

import pytest

from fleet_cloud.adapters.fleetwise_manifests import ManifestFiles
from fleet_cloud.adapters.fleetwise_plane import KeptModels
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


def test_all_vehicles_of_a_manifest_have_one_version_of_it(door: Door, tenant: str):
    vehicle, other = f"CAR-{tenant}", f"VAN-{tenant}"
    _, account = door.small_account(tenant, vehicle)
    door.client("admin", tenant).create_vehicle(
        vehicleName=other,
        modelManifestArn=account.arn("model-manifest", "car"),
        decoderManifestArn=account.arn("decoder-manifest", "car"),
    )
    models = KeptModels(door.cloud.documents, lambda: {vehicle: tenant, other: tenant})
    both = [models(name) for name in (vehicle, other)]

    assert all(both)
    assert {one.name for one in both if one} == {"car"}
    assert len({one.version for one in both if one}) == 1
