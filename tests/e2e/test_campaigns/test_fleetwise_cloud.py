"""Our vehicle side at a cloud shaped like AWS IoT FleetWise: a real broker, and a stand-in for that cloud.

The stand-in knows the public interface and nothing of ours: it sends a decoder manifest and campaigns when an
agent checks in, and reads what the agent sends.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import cramjam
import numpy as np
import pytest

from edge_agent.adapters.uplink_fleetwise import FleetWiseUplink
from edge_agent.adapters.uplink_tls import address
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.fleetwise import databases_of
from edge_agent.canbus.frames import EXTENDED, Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.telemetry.fleetwise import FleetWiseWire
from fairway.campaign.model import ConditionBased
from fairway.catalog.load import catalog_of
from fairway.clock import SystemClock
from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    CampaignState,
    CampaignStatus,
    CheckIn,
    Command,
    DeactivateState,
    StateReport,
    StateTemplateList,
    StateValue,
)
from fairway.errors import Denied, Unavailable
from fairway.fleetwise.topics import Prefixes
from fairway.ids import BatchName
from fairway.samples import SampleBlock
from fairway.telemetry import Batch, CampaignEvent, CampaignPart, Outcome
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fairway.wire.telemetry import (
    batch_to_bytes,
    dictionary_of,
    dictionary_to_bytes,
    receipts_from_bytes,
)
from tests.brokers import Broker, mosquitto
from tests.e2e.fleetwise_cloud import BRAKE, NAME, OWN, FleetWiseCloud
from tests.fleetwise_peer import peer

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

STREAM = "0123456789abcdef"


class Vehicle:
    """Our vehicle side: the uplink, and what turns frames into samples by the manifest."""

    def __init__(self, port: int) -> None:
        self.kept: list[bytes] = []
        self.uplink = FleetWiseUplink(
            address(f"mqtt://127.0.0.1:{port}"),
            name=NAME,
            prefixes=Prefixes(),
            clock=SystemClock(),
            keep=self.kept.append,
        )

    async def begin(self) -> None:
        """Get the manifest, and build what it says."""
        await self.uplink.connect()
        manifest = await self.uplink.first_manifest()
        self.said = databases_of(manifest, {"1": "can0"})
        plan = compile_plan(
            [BusDatabases(bus, (database,)) for bus, database in self.said.buses.items()]
        )
        self.decoder = make_decoder(plan)
        self.mapping = compile_mapping(plan, catalog_of([]), unmapped=True)
        self.uplink.speak(FleetWiseWire(NAME, manifest, self.said.names), manifest)

    async def campaigns(self, **campaigns: CampaignState) -> CampaignList:
        """Check in, and return the list that comes."""
        statuses = tuple(CampaignStatus(BRAKE, state) for state in campaigns.values())
        check_in = CheckIn("1", 1_700_000_000_000_000_000, campaigns=statuses)
        await self.uplink.send_control(from_vehicle_to_bytes(check_in))
        found = to_vehicle_from_bytes(await self.uplink.receive_control())
        assert isinstance(found, CampaignList)
        return found

    def samples(self, *frames: Frame) -> SampleBlock:
        block = block_of(list(frames))
        return self.mapping.apply(self.decoder.decode(block), block)

    async def deliver(self, block: SampleBlock, *events: CampaignEvent, campaign=BRAKE):
        """Send a batch as the agent's window does, its dictionary before it."""
        dictionary = dictionary_of(block.table)
        part = CampaignPart(campaign, events=events) if campaign else None
        batch = Batch(BatchName(NAME, STREAM, 1), dictionary.id, block, 0, part)
        await self.uplink.send(dictionary_to_bytes(dictionary))
        await self.uplink.send(batch_to_bytes(batch))
        async with asyncio.timeout(15):
            return receipts_from_bytes(await self.uplink.receive())


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    with mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
async def cloud(broker: Broker) -> AsyncIterator[FleetWiseCloud]:
    cloud = FleetWiseCloud(broker.port)
    await asyncio.to_thread(cloud.__enter__)
    yield cloud
    await asyncio.to_thread(cloud.__exit__)


@pytest.fixture
async def vehicle(cloud: FleetWiseCloud, broker: Broker) -> AsyncIterator[Vehicle]:
    vehicle = Vehicle(broker.port)
    async with asyncio.timeout(20):
        await vehicle.begin()
    yield vehicle
    await vehicle.uplink.close()


FRAMES = (
    Frame(0x123, bytes.fromhex("1f40"), 1_700_000_000_010_000_000),
    Frame(0x18FEF100 | EXTENDED, b"\x2a", 1_700_000_000_020_000_000),
)


async def test_frames_are_decoded_by_the_manifest_of_the_cloud(vehicle: Vehicle):
    rows = list(vehicle.samples(*FRAMES).rows())

    assert rows == [
        ("can0.x123.s7", 1_700_000_000_010_000_000, pytest.approx(70.0)),
        ("can0.x18FEF100.s8", 1_700_000_000_020_000_000, 42.0),
    ]
    assert vehicle.said.names.id("can0.x123.s7") == 7
    assert vehicle.said.names.id("FleetWise.9") == 9
    assert vehicle.kept


async def test_campaigns_come_as_ours_and_events_go_as_fleetwises(
    vehicle: Vehicle, cloud: FleetWiseCloud
):
    found = await vehicle.campaigns()
    scheme = found.campaigns[0].campaign.scheme
    assert isinstance(scheme, ConditionBased)
    assert scheme.expression == "$variable.`can0.x123.s7` > 50"
    assert found.campaigns[0].sync_id == BRAKE
    event = CampaignEvent(77, 1_700_000_000_015_000_000, 2, dtcs=("P0300",))

    receipts = await vehicle.deliver(vehicle.samples(*FRAMES), event)

    payload = await cloud.hears("signals")
    data = peer["VehicleData"].FromString(bytes(cramjam.snappy.decompress_raw(payload)))
    assert (data.campaign_sync_id, data.decoder_sync_id) == (BRAKE, "manifest-1")
    assert (data.collection_event_id, data.collection_event_time_ms_epoch) == (
        77,
        1_700_000_000_015,
    )
    assert [
        (one.signal_id, one.relative_time_ms, one.double_value) for one in data.captured_signals
    ] == [(7, -5, pytest.approx(70.0)), (8, 5, 42.0)]
    assert list(data.dtc_data.active_dtc_codes) == ["P0300"]
    assert [(one.sequence, one.outcome) for one in receipts] == [(1, Outcome.STORED)]


async def test_a_check_in_says_which_documents_run(vehicle: Vehicle, cloud: FleetWiseCloud):
    await vehicle.campaigns()
    await cloud.hears("checkins")
    await cloud.hears("checkins")
    check_in = CheckIn("1", 1, campaigns=(CampaignStatus(BRAKE, CampaignState.RUNNING),))

    await vehicle.uplink.send_control(from_vehicle_to_bytes(check_in))

    message = peer["Checkin"].FromString(await cloud.hears("checkins"))
    assert list(message.document_sync_ids) == [BRAKE, "manifest-1"]


async def test_a_large_event_goes_in_parts_and_has_one_receipt(
    vehicle: Vehicle, cloud: FleetWiseCloud
):
    await vehicle.campaigns()
    count = 60_000
    block = SampleBlock(
        vehicle.mapping.table,
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int64) * 1_000_000,
        np.random.default_rng(1).random(count),
    )

    receipts = await vehicle.deliver(block, CampaignEvent(1, 0, count))

    assert [one.outcome for one in receipts] == [Outcome.STORED]
    found = 0
    while found < count:
        payload = await cloud.hears("signals")
        assert len(payload) <= 128 * 1024
        message = peer["VehicleData"].FromString(bytes(cramjam.snappy.decompress_raw(payload)))
        found += len(message.captured_signals)
    assert found == count


async def test_samples_of_no_campaign_are_refused_with_what_to_do(vehicle: Vehicle):
    receipts = await vehicle.deliver(vehicle.samples(*FRAMES), campaign="")

    assert receipts[0].outcome is Outcome.REFUSED
    assert 'set [telemetry] collect = "none"' in receipts[0].reason


async def test_state_templates_and_commands_go_both_ways(vehicle: Vehicle, cloud: FleetWiseCloud):
    change = peer["StateTemplates"](version=5, decoder_manifest_sync_id="manifest-1")
    template = change.state_templates_to_add.add(state_template_sync_id="drive", signal_ids=[7, 8])
    template.periodic.period_ms = 500
    cloud.send(f"{OWN}last_known_states/config", change)
    templates = to_vehicle_from_bytes(await vehicle.uplink.receive_control())
    while not isinstance(templates, StateTemplateList):  # what was said at the start may come first
        templates = to_vehicle_from_bytes(await vehicle.uplink.receive_control())
    assert templates.templates[0].signals == ("can0.x123.s7", "can0.x18FEF100.s8")

    request = peer["CommandRequest"](command_id="c1", timeout_ms=5000, issued_timestamp_ms=1000)
    operation = request.last_known_state_command.state_template_information.add(
        state_template_sync_id="drive"
    )
    operation.deactivate_operation.SetInParent()
    cloud.send(f"$aws/commands/things/{NAME}/executions/c1/request/protobuf", request)
    command = to_vehicle_from_bytes(await vehicle.uplink.receive_control())
    assert command == Command("c1", 6_000_000_000, DeactivateState("drive"))

    answer = Answer("c1", AnswerState.FAILED, 6, "no such template")
    await vehicle.uplink.send_control(from_vehicle_to_bytes(answer))
    told = peer["CommandResponse"].FromString(await cloud.hears("c1/response/protobuf"))
    assert (told.status, told.reason_code, told.reason_description) == (4, 6, "no such template")

    report = StateReport("drive", (StateValue("can0.x123.s7", 2_000_000_000, 13.5),))
    await vehicle.uplink.send_control(from_vehicle_to_bytes(report))
    data = peer["LastKnownStateData"].FromString(await cloud.hears("last_known_states/data"))
    (state,) = data.captured_state_template_signals
    assert data.collection_event_time_ms_epoch == 2000
    assert state.captured_signals[0].double_value == 13.5


async def test_a_command_to_an_actuator_is_answered_as_not_supported(
    vehicle: Vehicle, cloud: FleetWiseCloud
):
    request = peer["CommandRequest"](command_id="c2")
    request.actuator_command.signal_id = 7
    request.actuator_command.double_value = 1.0

    cloud.send(f"$aws/commands/things/{NAME}/executions/c2/request/protobuf", request)

    told = peer["CommandResponse"].FromString(await cloud.hears("c2/response/protobuf"))
    assert (told.status, told.reason_code) == (4, 8)


async def test_a_new_manifest_is_kept_and_told(vehicle: Vehicle, cloud: FleetWiseCloud):
    vehicle.uplink.manifest_changed.clear()
    cloud.manifest.sync_id = "manifest-2"

    cloud.send(f"{OWN}decoder_manifests", cloud.manifest)

    async with asyncio.timeout(10):
        await vehicle.uplink.manifest_changed.wait()
    assert vehicle.uplink.manifest is not None
    assert vehicle.uplink.manifest.sync_id == "manifest-2"
    assert len(vehicle.kept) == 2


async def test_a_lost_connection_is_told_and_made_anew(vehicle: Vehicle, broker: Broker):
    await asyncio.to_thread(broker.kill)
    with pytest.raises(Unavailable, match="was lost"):
        async with asyncio.timeout(15):
            await vehicle.uplink.receive()
    with pytest.raises((Unavailable, Denied)):
        await vehicle.uplink.connect()
    await asyncio.to_thread(broker.start)

    await vehicle.uplink.connect()

    found = await vehicle.deliver(vehicle.samples(*FRAMES), CampaignEvent(1, 0, 2))
    assert found[0].outcome is Outcome.STORED
