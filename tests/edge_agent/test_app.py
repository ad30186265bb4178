"""The agent as a program, against a cloud of a few lines: nothing is lost, nothing is stored twice."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.telemetry import Outcome, SealedBatch
from tests.certificates import Authority
from tests.edge_agent.agents import (
    AGENT,
    VEHICLE,
    Agent,
    collected,
    drive,
    end_all,
    same,
    write_log,
)
from tests.grpc_cloud import GrpcCloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]
YEAR_NS = 365 * 86_400 * 1_000_000_000


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[GrpcCloud]:
    made = GrpcCloud(Authority(tmp_path / "pki"))
    await made.start()
    yield made
    await end_all()
    await made.stop()


def agent(folder: Path, cloud: GrpcCloud, **settings: object) -> Agent:
    return Agent(folder / VEHICLE, cloud.authority, cloud.port, **settings)


async def until(done, within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.02)


async def test_a_log_arrives_as_it_was_decoded(tmp_path: Path, cloud: GrpcCloud):
    car, frames = agent(tmp_path, cloud), drive(3000)
    write_log(car.folder / "drive.log", frames)

    await car.start("--until-drained")
    code, summary, said = await car.ended()

    assert code == 0, said
    assert same(cloud.whole(), collected(frames))
    assert (summary["samples"], summary["waiting_batches"]) == (cloud.samples(), 0)
    assert summary["stored"] == summary["batches"] == len(cloud.batches)
    assert cloud.vehicles == [VEHICLE]


async def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, cloud: GrpcCloud):
    settings = {"interval_ms": 20, "on_change": "true"}
    car, frames = agent(tmp_path, cloud, **settings), drive(9000)
    write_log(car.folder / "drive.log", frames)
    expected = collected(frames, interval_ms=20, on_change=True)
    whole = len(expected)

    for part in (0.1, 0.35, 0.6, 0.8):
        await car.start("--until-drained")
        await until(lambda part=part: cloud.samples() >= whole * part)
        await car.kill()
    await car.start("--until-drained")
    code, _, said = await car.ended()

    assert code == 0, said
    assert same(cloud.whole(), expected)


async def test_a_paced_log_is_taken_up_where_it_was_left(tmp_path: Path, cloud: GrpcCloud):
    car = agent(tmp_path, cloud, replay='[replay]\nlog = "drive.log"\nspeed = 20')
    frames = drive(6000)
    write_log(car.folder / "drive.log", frames)

    await car.start("--until-drained")
    await until(lambda: cloud.samples() > 3000)
    await car.kill()
    await car.start("--until-drained")
    code, _, said = await car.ended()

    assert code == 0, said
    assert "replay_resumed" in said
    assert same(cloud.whole(), collected(frames))


async def test_a_cloud_that_comes_and_goes_gets_everything_once(tmp_path: Path, cloud: GrpcCloud):
    car, frames = agent(tmp_path, cloud), drive(9000)
    write_log(car.folder / "drive.log", frames)
    await cloud.stop()

    await car.start("--until-drained")
    for part in (0.3, 0.6):
        await cloud.start()
        await until(lambda part=part: cloud.samples() >= 24_000 * part)
        await cloud.stop()
        cloud.dictionaries.clear()
    await cloud.start()
    code, summary, said = await car.ended()

    assert code == 0, said
    assert same(cloud.whole(), collected(frames))
    assert summary["connections"] >= 3


async def test_a_busy_forgetful_and_refusing_cloud_is_served_in_order(
    tmp_path: Path, cloud: GrpcCloud
):
    turned_away: set[int] = set()

    def judge(batch: SealedBatch) -> Outcome:
        number = batch.name.sequence
        if number % 7 == 3:
            return Outcome.REFUSED
        if number % 3 == 0 and number not in turned_away:
            turned_away.add(number)
            return Outcome.BUSY
        return Outcome.STORED

    cloud.judge = judge
    car, frames = agent(tmp_path, cloud), drive(3000)
    write_log(car.folder / "drive.log", frames)

    await car.start("--until-drained")
    code, summary, said = await car.ended()

    assert code == 0, said
    assert summary["refused"] == sum(number % 7 == 3 for number in range(1, summary["batches"] + 1))
    assert summary["stored"] == summary["batches"] - summary["refused"]
    assert said.count("batch_refused") == summary["refused"]


@pytest.mark.parametrize("jump_ns", [YEAR_NS, -YEAR_NS])
async def test_a_clock_that_jumps_a_year_loses_nothing(
    tmp_path: Path, cloud: GrpcCloud, jump_ns: int
):
    car, frames = agent(tmp_path, cloud), drive(3000, jump_at=1234, jump_ns=jump_ns)
    write_log(car.folder / "drive.log", frames)

    await car.start("--until-drained")
    code, _, said = await car.ended()

    assert code == 0, said
    assert same(cloud.whole(), collected(frames))


async def test_a_stopped_agent_has_everything_in_its_spool(tmp_path: Path, cloud: GrpcCloud):
    car, frames = agent(tmp_path, cloud), drive(3000)
    write_log(car.folder / "drive.log", frames)
    await cloud.stop()

    await car.start()
    assert car.process is not None
    assert car.process.stderr is not None
    async with asyncio.timeout(30):
        while b"sources_ended" not in await car.process.stderr.readline():
            pass
    car.process.terminate()
    code, summary, _ = await car.ended()
    assert (code, summary["sent"]) == (0, 0)
    assert summary["waiting_batches"] == summary["batches"] > 10

    await cloud.start()
    await car.start("--until-drained")
    code, summary, said = await car.ended()
    assert code == 0, said
    assert summary["batches"] == 0
    assert same(cloud.whole(), collected(frames))


async def test_a_small_spool_holds_up_the_log_and_drops_nothing(tmp_path: Path, cloud: GrpcCloud):
    car = agent(tmp_path, cloud, spool="max_bytes = 1048576")
    frames = drive(60_000)
    write_log(car.folder / "drive.log", frames)
    await cloud.stop()

    await car.start("--until-drained")
    spool = car.folder / "spool"
    await until(lambda: sum(file.stat().st_size for file in spool.glob("*.seg")) > 400_000)
    await asyncio.sleep(0.5)
    assert sum(file.stat().st_size for file in spool.glob("*.seg")) < 700_000
    await cloud.start()
    code, summary, said = await car.ended()

    assert code == 0, said
    assert summary["dropped_batches"] == summary["lost_samples"] == 0
    assert same(cloud.whole(), collected(frames))


async def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, cloud: GrpcCloud):
    car = agent(tmp_path, cloud, replay='[replay]\nlog = "drive.log"\nspeed = 10')
    frames = drive(6000)
    write_log(car.folder / "drive.log", frames)

    await car.start("--until-drained")
    assert car.process is not None
    assert car.process.stderr is not None
    await until(lambda: cloud.samples() > 1000)
    # No file may grow any more: what the system says of a full disk, in another word.
    resource.prlimit(car.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    while b"spool_unavailable" not in await car.process.stderr.readline():
        pass
    resource.prlimit(
        car.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    code, summary, said = await car.ended()

    assert code == 0, said
    assert "spool_works_again" in said
    assert summary["lost_samples"] == 0
    assert same(cloud.whole(), collected(frames))


async def test_metrics_tell_what_happens(tmp_path: Path, cloud: GrpcCloud):
    car = agent(tmp_path, cloud, more='[metrics]\nlisten = "127.0.0.1:0"')
    write_log(car.folder / "drive.log", drive(3000))

    await car.start()
    assert car.process is not None
    assert car.process.stderr is not None
    line = b""
    while b"metrics_listen" not in line:
        line = await car.process.stderr.readline()
    port = int(line.rsplit(b"=", 1)[1])
    await until(lambda: cloud.samples() == 8000)
    text = await scraped(port, "/metrics")
    nothing = await scraped(port, "/else")
    car.process.terminate()
    await car.ended()

    assert "fairway_edge_frames_total 3000.0" in text
    assert "fairway_edge_samples_total 8000.0" in text
    assert 'fairway_edge_dropped_frames_total{bus="replay"} 0.0' in text
    assert "fairway_edge_uplink_connected 1.0" in text
    assert 'fairway_edge_uplink_receipts_total{outcome="refused"} 0.0' in text
    assert nothing.startswith("HTTP/1.1 404")


async def scraped(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text


# what cannot be


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"replay": '[replay]\nlog = "none.log"'}, "none.log"),
        ({"ca": "none.pem"}, "none.pem"),
        ({"url": "ftp://x"}, "'ftp://x' is not the URL of a cloud"),
        ({"source": 'source = "carrier:pigeon"', "replay": ""}, "'carrier:pigeon' is not a source"),
        ({"more": "[metric]"}, "unknown key metric; did you mean metrics?"),
    ],
)
async def test_what_cannot_be_is_one_sentence_and_exit_code_1(
    tmp_path: Path, cloud: GrpcCloud, change: dict[str, object], words: str
):
    car = agent(tmp_path, cloud, **change)

    await car.start("--until-drained")
    code, _, said = await car.ended()

    assert code == 1
    assert words in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("edge-agent: ")
    assert "Traceback" not in said


async def test_a_missing_database_is_named(tmp_path: Path, cloud: GrpcCloud):
    car = agent(tmp_path, cloud)
    (car.folder / "car.dbc").unlink()

    await car.start()
    code, _, said = await car.ended()

    assert code == 1
    assert "car.dbc" in said
    assert "Traceback" not in said


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path):
    told = subprocess.run(
        [str(AGENT), "run", "--config", str(tmp_path / "no.toml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.returncode, told.stdout) == (1, "")
    assert "no.toml: No such file or directory" in told.stderr


def test_the_agent_starts_without_what_only_others_need():
    heavy = {
        "asammdf",
        "can",
        "cantools",
        "fastapi",
        "grpc",
        "lxml",
        "paho",
        "pandas",
        "fleet_cloud",
        "simulators",
    }
    code = "import sys, edge_agent.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert heavy & set(loaded.stdout.split()) == set()
