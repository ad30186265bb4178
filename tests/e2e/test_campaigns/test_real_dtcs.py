"""FleetWise's campaigns that want trouble codes: a real agent asks simulated ECUs on a live bus for them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Program, until
from tests.e2e.test_campaigns.documents import document
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent
from tests.shared_data import shared

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

CAR = "TROUBLED"
FETCH, HEARTBEAT = "campaign-uds-dtc-time-based-fetch", "campaign-obd-heartbeat"
INFO = "Vehicle.ECU1.DTC_INFO"
SNAPSHOT, EXTENDED = "01F1901234", "0BADCAFE"
# FleetWise's table: ECM_DTC1 is P0123 of OBD, ECM_DTC3 is AAA123 of UDS.
ECU = """
[[ecu]]
name = "engine"
bus = "can0"
target_address = 1
request_id = 0x7E0
response_id = 0x7E8
p2_ms = 1000
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignCloud]:
    with ExitStack() as stack:
        made = CampaignCloud(tmp_path_factory.mktemp("dtcs"))
        stack.callback(made.program.close)
        made.start()
        car = made.add_vehicle(CAR)
        stack.callback(engine(car).start().close)
        agent = campaign_agent(
            car,
            url=f"grpcs://127.0.0.1:{made.grpc_port}",
            log=None,
            databases={"can0": shared("edge/fleetwise/dbc/hscan.dbc")},
            more=ECU,
        )
        stack.callback(agent.close)
        agent.start()
        for name in (FETCH, HEARTBEAT):
            made.run_campaign(document(name), CAR)
        yield made


def engine(car: Path) -> Program:
    """Return an ECU that has codes of both kinds."""
    return Program(
        *("vehicle-sim", "ecu", "--table", shared("edge/fleetwise/obd/obd_config_sample.json")),
        *("--to", f"unix:{car / 'can0.sock'}", "--dtc", "ECM_DTC1", "--dtc", "ECM_DTC3=0xAF"),
        *("--snapshot", f"ECM_DTC3:1={SNAPSHOT}", "--extended", f"ECM_DTC3:1={EXTENDED}"),
        log=car / "ecu.log",
    )


def codes(text: str) -> list[dict[str, Any]]:
    """Return the codes of the engine in what was fetched."""
    (ecu,) = json.loads(text)["DetectedDTCs"]
    assert ecu["ECUID"] == "01"
    found = ecu["DTCAndSnapshot"]["dtcCodes"]
    assert isinstance(found, list)
    return found


def test_what_an_ecu_has_on_record_is_fetched_every_five_seconds(cloud: CampaignCloud):
    until("three fetches", lambda: len(cloud.events(FETCH)) >= 3, within_s=60)

    fetched = [codes(text) for _, text in cloud.data(FETCH, CAR, INFO)]

    records = {record for found in fetched for one in found for record in one.values()}
    assert any(record.startswith("AAA123AF") and record.endswith(SNAPSHOT) for record in records)
    assert any(record.startswith("AAA123AF") and record.endswith(EXTENDED) for record in records)
    assert {one["DTC"] for found in fetched for one in found} >= {"AAA123"}
    times = [one["time_ns"] / 1e9 for one in cloud.events(FETCH)]
    assert times[-1] - times[0] > 4, "the same answer was sent again and again"
    assert cloud.ask("GET", f"/v1/campaigns/{FETCH}/document") == document(FETCH)


def test_active_codes_go_with_each_event_of_a_campaign_that_wants_them(cloud: CampaignCloud):
    until("a heartbeat", lambda: bool(cloud.events(HEARTBEAT)), within_s=60)

    for event in cloud.events(HEARTBEAT):
        assert event["dtcs"] == ["P0123"]
        assert event["dtcs_missing"] is None
    assert cloud.standing(HEARTBEAT, CAR)["warnings"], "no signal of it is on this bus"
