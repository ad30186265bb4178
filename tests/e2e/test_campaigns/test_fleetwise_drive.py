"""`edge-agent run` at a cloud shaped like AWS IoT FleetWise: a log is driven, events arrive as FleetWise's."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tests.brokers import Broker, mosquitto
from tests.e2e.fleetwise_cloud import BRAKE, NAME, OWN, FleetWiseCloud
from tests.e2e.programs import Program, until
from tests.fleetwise_peer import peer

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

START_S = 1_700_000_000
# A frame each 100 ms: the speed climbs to 59 and falls again; 50 is passed once upwards.
SPEEDS = [*range(60), *range(59, 0, -1)]


def frame_line(at: int, speed: float) -> str:
    raw = round((speed + 10.0) / 0.01)
    return f"({START_S + at / 10:.6f}) can0 123#{raw:04X}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with mosquitto(tmp_path / "broker") as broker:
        yield broker


class Drive:
    """An agent over a log, at a cloud."""

    def __init__(self, folder: Path, port: int) -> None:
        log = folder / "drive.log"
        log.write_text("\n".join(frame_line(at, one) for at, one in enumerate(SPEEDS)) + "\n")
        config = folder / "agent.toml"
        config.write_text(
            f'[vehicle]\nid = "{NAME}"\n'
            '[[bus]]\nname = "can0"\ndatabases = []\ninterface = "1"\n'
            f'[replay]\nlog = "{log}"\nresume = false\n'
            f'[spool]\ndir = "{folder / "spool"}"\n'
            f'[uplink]\nurl = "mqtt://127.0.0.1:{port}"\ndialect = "fleetwise"\n'
            '[telemetry]\ncollect = "none"\n'
            "[campaigns]\ncheck_in_interval_s = 1\n"
        )
        self.program = Program("edge-agent", "run", "--config", config, log=folder / "agent.log")


def events_of(cloud: FleetWiseCloud) -> list[Any]:
    found = []
    while not cloud.heard.empty():
        topic, payload = cloud.heard.get()
        if topic == f"{OWN}signals":
            body = bytes(cramjam.snappy.decompress_raw(payload))
            found.append(peer["VehicleData"].FromString(body))
    return found


def test_a_log_is_driven_by_the_manifest_and_campaigns_of_the_cloud(broker: Broker, tmp_path: Path):
    with FleetWiseCloud(broker.port) as cloud:
        cloud.schemes.collection_schemes[0].condition_based.condition_trigger_mode = 1
        drive = Drive(tmp_path, broker.port)
        drive.program.start()
        try:
            until("the campaign", lambda: has_checked_in(cloud, BRAKE), within_s=60)
            drive.program.stop()
            # The log was over before the campaign came; now it is there from before.
            events_of(cloud)
            drive.program.start()
            events = wait_for_events(cloud)
        finally:
            drive.program.close()

    first = events[0]
    samples = sorted((one.relative_time_ms, one.double_value) for one in first.captured_signals)
    assert (first.campaign_sync_id, first.decoder_sync_id) == (BRAKE, "manifest-1")
    assert first.collection_event_time_ms_epoch > 0
    assert {one.signal_id for one in first.captured_signals} == {7}
    assert [value for _, value in samples] == pytest.approx([float(n) for n in range(42, 52)])
    assert [time_ms for time_ms, _ in samples] == list(range(-900, 1, 100))


def test_a_new_manifest_begins_the_run_anew(broker: Broker, tmp_path: Path):
    with FleetWiseCloud(broker.port) as cloud:
        drive = Drive(tmp_path, broker.port)
        drive.program.start()
        try:
            until("the campaign", lambda: has_checked_in(cloud, BRAKE), within_s=60)
            cloud.manifest.sync_id = "manifest-2"
            for scheme in cloud.schemes.collection_schemes:
                scheme.decoder_manifest_sync_id = "manifest-2"
            cloud.send(f"{OWN}decoder_manifests", cloud.manifest)
            until("the new one", lambda: has_checked_in(cloud, "manifest-2"), within_s=60)
            cloud.send(f"{OWN}collection_schemes", cloud.schemes)
            until("its campaign", lambda: has_checked_in(cloud, BRAKE, "manifest-2"), within_s=60)
            assert drive.program.is_running
        finally:
            drive.program.close()


def has_checked_in(cloud: FleetWiseCloud, *sync_ids: str) -> bool:
    while not cloud.heard.empty():
        topic, payload = cloud.heard.get()
        if topic == f"{OWN}checkins":
            ids = peer["Checkin"].FromString(payload).document_sync_ids
            if set(sync_ids) <= set(ids):
                return True
    return False


def wait_for_events(cloud: FleetWiseCloud) -> list[Any]:
    deadline = time.monotonic() + 60
    while not (events := events_of(cloud)):
        assert time.monotonic() < deadline, "no event came"
        time.sleep(0.1)
    return events
