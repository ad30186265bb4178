"""The page of the vehicle-data API names every call of every service, every data type and every quality."""

import re

import pytest

from edge_agent.adapters.kuksa_service import SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_OF_APP_MAX
from edge_agent.adapters.kuksa_values import DATA_TYPES, member_of
from edge_agent.broker.subscriptions import WAITING_MAX_VALUES
from edge_agent.broker.values import ARRAY_MAX_ITEMS, TEXT_MAX_CHARS
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.foreign.kuksa.val.v2 import val_pb2 as v2
from fairway.foreign.sdv.databroker.v1 import broker_pb2 as sdv
from fairway.v1 import onboard_pb2, services_pb2, vehicle_data_pb2
from tests.docs.pages import DOCS

PAGE = (DOCS / "reference" / "vehicle-api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
SERVICES = [
    ("kuksa.val.v2", v2.DESCRIPTOR.services_by_name["VAL"]),
    ("kuksa.val.v1", v1.DESCRIPTOR.services_by_name["VAL"]),
    ("sdv.databroker.v1", sdv.DESCRIPTOR.services_by_name["Broker"]),
    ("fairway.v1.OnboardService", onboard_pb2.DESCRIPTOR.services_by_name["OnboardService"]),
    (
        "fairway.v1.VehicleDataService",
        vehicle_data_pb2.DESCRIPTOR.services_by_name["VehicleDataService"],
    ),
    (
        "fairway.v1.ServiceRegistryService",
        services_pb2.DESCRIPTOR.services_by_name["ServiceRegistryService"],
    ),
]


@pytest.mark.parametrize(("section", "service"), SERVICES)
def test_every_call_is_there_and_no_other(section, service):
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SECTIONS[section], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([A-Z][a-z]\w+)`", row)}

    assert told == {method.name for method in service.methods}


def test_every_data_type_quality_and_limit_is_there():
    table = SECTIONS["Signals"]
    for datatype in DATA_TYPES:
        assert datatype.endswith("[]") or f"`{datatype}`" in table
        assert datatype.endswith("[]") or f"`{member_of(datatype)}`" in table
    words = [*vehicle_data_pb2.OrderState.keys()[1:], *vehicle_data_pb2.OrderReason.keys()[1:]]
    for name in [*onboard_pb2.Quality.keys()[1:], *words]:
        assert f"`{name}`" in PAGE
    for limit in (TEXT_MAX_CHARS, ARRAY_MAX_ITEMS):
        assert f"{limit:,}" in table
    room = f"beyond {SUBSCRIPTIONS_MAX} subscriptions, or {SUBSCRIPTIONS_OF_APP_MAX} of one app"
    assert room in PAGE
    assert f"more than {WAITING_MAX_VALUES:,} values wait" in PAGE
