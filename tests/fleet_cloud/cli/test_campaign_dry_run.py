"""`fleet-cloud campaign dry-run`: the stored drives of a cloud that does not run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fleet_cloud.cli
from fairway.clock import NS_PER_S
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.telemetry_store import open_store
from fleet_cloud.ingest.ports import AcceptedBatch

pytestmark = pytest.mark.slow

START_NS = 1_700_000_000 * NS_PER_S  # 2023-11-14T22:13:20Z
SPAN = ("--from", "2023-11-14", "--to", "2023-11-15")
SCHEME = {"conditionBasedCollectionScheme": {"expression": "$variable.`Speed` > 100"}}
FAST = {"name": "fast", "collectionScheme": SCHEME, "signalsToCollect": [{"name": "Speed"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cloud of one vehicle, which has driven for ten seconds."""
    folder = tmp_path_factory.mktemp("cloud")
    (folder / "fast.json").write_text(json.dumps(FAST))
    (folder / "cloud.toml").write_text('[campaigns]\nprice_per_mb = 0.5\ncurrency = "EUR"\n')
    assert run(folder, "vehicle", "add", "VIN1", "--out", folder / "VIN1") == 0
    assert run(folder, "campaign", "add", folder / "fast.json", "--vehicle", "VIN1") == 0
    count = 100
    block = SampleBlock(
        SignalTable((Signal("Speed"),)),
        np.zeros(count, np.int32),
        START_NS + np.arange(count, dtype=np.int64) * NS_PER_S // 10,
        np.arange(count, dtype=np.float64) + 51,
    )
    store = open_store((), folder / "data")
    store.append([AcceptedBatch("default", BatchName("VIN1", "0" * 16, 1), block, START_NS)])
    store.close()
    return folder


def run(folder: Path, *arguments: object) -> int:
    where = ("--config", folder / "cloud.toml", "--data", folder / "data")
    return fleet_cloud.cli.main([str(one) for one in (*arguments, *where)])


def tried(folder: Path, what: object, *more: object) -> int:
    return run(folder, "campaign", "dry-run", what, "--vehicle", "VIN1", *SPAN, *more)


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_document_and_a_campaign_are_tried_alike(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert tried(folder, folder / "fast.json", "--json") == 0
    by_file = said(capsys)
    assert tried(folder, "fast", "--json") == 0

    assert said(capsys) == by_file
    # From 101 km/h on, each tenth of a second to the end.
    assert (by_file["triggers"], by_file["samples"], by_file["drives"]) == (50, 100, 1)
    assert by_file["month"]["cost"] == pytest.approx(by_file["month"]["megabytes"] * 0.5, rel=1e-3)


def test_people_are_told_what_it_costs(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert tried(folder, "fast", "--hours-per-month", "1") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fast"
    assert lines[1].startswith("  on 1 drive (0.00275 h): 50 triggers, 100 samples, ")
    assert lines[2].startswith("  a vehicle-month of 1 h: ")
    assert lines[2].endswith(" EUR")
    assert lines[3].startswith("  note: the samples are those")


@pytest.mark.parametrize(
    ("what", "more", "sentence"),
    [
        ("nothing", (), "no campaign and no file is called nothing"),
        ("fast", ("--vehicle", "NOBODY"), "no vehicle is called NOBODY"),
        ("fast", ("--vehicle", "VIN1"), "1 to 10 different ones"),
        ("fast", ("--from", "soon"), "--from is 'soon'"),
        ("fast", ("--hours-per-month", "0"), "hoursPerMonth"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    more: tuple[str, ...],
    sentence: str,
):
    assert tried(folder, what, *more) == 1

    assert sentence in capsys.readouterr().err
