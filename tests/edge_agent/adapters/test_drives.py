"""Recorded drives are the samples that an agent of the same settings makes of them."""

import itertools
from pathlib import Path

import pytest

from edge_agent.adapters.drives import Drives
from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.pipelines import open_pipeline
from edge_agent.config import Bus, Config, Signals, Spool, Telemetry, Uplink, Vehicle
from fairway.errors import BadInput
from fairway.samples import SampleBlock
from tests.edge_agent.agents import DBC, drive, write_log

OVERLAY = """\
Vehicle:
  type: branch
  description: A vehicle.
Vehicle.Speed:
  type: sensor
  datatype: float
  description: Speed.
  dbc2vss:
    message: MOTION
    signal: Speed
    interval_ms: 50
"""


def config(folder: Path, *, collect: str = "all", has_overlay: bool = False) -> Config:
    (folder / "car.dbc").write_text(DBC)
    (folder / "overlay.vspec").write_text(OVERLAY)
    write_log(folder / "drive.log", drive(1000))
    return Config(
        vehicle=Vehicle("CAR-1"),
        bus=(Bus("can0", (folder / "car.dbc",), source="socketcan:can0"),),
        spool=Spool(folder / "spool"),
        uplink=Uplink(url="mqtts://nowhere"),
        signals=Signals(overlays=(folder / "overlay.vspec",) if has_overlay else ()),
        telemetry=Telemetry(collect=collect),  # type: ignore[arg-type]
    )


def of(settings: Config) -> Drives:
    return Drives(settings.bus, settings.signals, unmapped=settings.telemetry.collect != "mapped")


def rows(blocks: list[SampleBlock]) -> list[tuple[str, int, float | bool | str]]:
    return [row for block in blocks for row in block.rows()]


@pytest.mark.parametrize("has_overlay", [False, True])
@pytest.mark.parametrize("collect", ["all", "none"])
def test_the_samples_are_those_an_agent_takes(tmp_path: Path, collect, has_overlay):
    settings = config(tmp_path, collect=collect, has_overlay=has_overlay)
    taken: list[SampleBlock] = []
    pipeline, *_ = open_pipeline(settings, {})
    pipeline.mapped = lambda block, _frames: taken.append(block)
    reader = open_log(tmp_path / "drive.log", {"can0": 0})
    for frames in reader:
        pipeline.samples(frames)
    reader.close()

    drives = of(settings)
    table = drives.table()
    found = list(drives.blocks(tmp_path / "drive.log", table))

    assert table == pipeline.mapping.table
    assert all(block.table is table for block in found)
    assert rows(found) == rows(taken)
    assert len(rows(found)) > 1000


def test_each_drive_begins_anew(tmp_path: Path):
    drives = of(config(tmp_path, has_overlay=True))
    table = drives.table()

    first, second = (rows(list(drives.blocks(tmp_path / "drive.log", table))) for _ in range(2))

    assert first == second
    assert {name for name, *_ in first} >= {"Vehicle.Speed", "can0.BATTERY.Voltage"}


def test_nothing_to_collect_is_said(tmp_path: Path):
    with pytest.raises(BadInput, match="no signal can be collected: give an overlay"):
        of(config(tmp_path, collect="mapped")).table()


def test_a_drive_may_be_left_halfway(tmp_path: Path):
    drives = of(config(tmp_path))
    table = drives.table()

    assert len(list(itertools.islice(drives.blocks(tmp_path / "drive.log", table), 1))) == 1


def test_a_log_that_is_not_there_is_said(tmp_path: Path):
    drives = of(config(tmp_path))

    with pytest.raises(BadInput, match="none.log"):
        list(drives.blocks(tmp_path / "none.log", drives.table()))
