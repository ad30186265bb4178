"""A cloud whose disk fills up: it says so, acknowledges nothing it cannot keep, and recovers by itself."""

from pathlib import Path

import pytest

from fairway.telemetry import Outcome
from tests.e2e.programs import until
from tests.fleet_cloud.cli.test_serve import Cloud, outcomes
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES, batch_bytes
from tests.small_disk import small_disk

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

MIB = 1024 * 1024


def test_nothing_acknowledged_is_lost_on_a_full_disk(tmp_path: Path):
    with small_disk(tmp_path / "disk", 400 * MIB) as disk:
        cloud = Cloud(tmp_path, "nats-server")
        cloud.data = disk.folder / "data"
        cloud.args[-1] = cloud.data
        cloud.program.arguments[-1] = str(cloud.data)
        cloud.start()
        try:
            cloud.add("VIN1")
            before = cloud.grpc_send("VIN1", DICTIONARY_BYTES, batch_bytes(1))
            disk.fill(leaving_bytes=64 * MIB)  # the store keeps some free for everyone else
            during = cloud.grpc_send("VIN1", batch_bytes(1), batch_bytes(2))
            health = cloud.get("/healthz")
            disk.clear()
            after = cloud.grpc_send("VIN1", batch_bytes(1), batch_bytes(2))

            assert outcomes(before) == [(1, Outcome.STORED)]
            assert outcomes(during) == [(1, Outcome.DUPLICATE), (2, Outcome.BUSY)]
            assert health.status_code == 503
            assert outcomes(after) == [(1, Outcome.DUPLICATE), (2, Outcome.STORED)]
            assert cloud.rows() == 6
            until("good health", lambda: cloud.get("/healthz").status_code == 200)
            said = cloud.program.said()
            assert "ingest_stalled" in said
            assert "ingest_recovered" in said
            assert "Traceback" not in said
        finally:
            assert cloud.program.stop() == 0
