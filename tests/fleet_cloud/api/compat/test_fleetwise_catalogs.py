"""Signal catalogs, by boto3 against a served cloud."""

from typing import Any

import pytest

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

BRANCH = {"branch": {"fullyQualifiedName": "Vehicle"}}
SPEED = {
    "sensor": {
        "fullyQualifiedName": "Vehicle.Speed", "dataType": "DOUBLE", "unit": "km/h", "min": 0.0, "max": 300.0,
    }
}  # fmt: skip


def test_a_catalog_is_made_and_read(fleetwise: Any):
    made = fleetwise.create_signal_catalog(
        name="cars", description="of all cars", nodes=[BRANCH, SPEED]
    )

    found = fleetwise.get_signal_catalog(name="cars")
    assert found["arn"] == made["arn"]
    assert found["arn"].endswith(":signal-catalog/cars")
    assert found["description"] == "of all cars"
    assert found["nodeCounts"]["totalNodes"] == 2
    assert fleetwise.list_signal_catalog_nodes(name="cars")["nodes"] == [BRANCH, SPEED]
    assert [one["name"] for one in fleetwise.list_signal_catalogs()["summaries"]] == ["cars"]
