"""edge-agent decode: rows out, counts beside them, one sentence when it cannot work."""

import csv
import io
import json
from pathlib import Path

import pytest

from edge_agent.cli import main

DBC = """VERSION ""
BS_:
BU_: A
BO_ 256 Speed: 8 A
 SG_ Fast : 0|16@1+ (0.01,0) [0|655.35] "km/h" A
 SG_ Gear : 16|8@1+ (1,0) [0|3] "" A
BO_ 257 Odd: 8 A
 SG_ Real : 0|32@1- (1,0) [0|0] "" A
VAL_ 256 Gear 0 "park, long" 1 "drive" ;
SIG_VALTYPE_ 257 Real : 1;
"""
LOG = """(1700000000.123456789) can0 100#E803010000000000
(1700000000.200000) can0 100#0000000000000000
(1700000000.300000) can0 101#0000C07F00000000
(1700000000.400000) can0 7FF#00
(1700000000.500000) can1 100#00
rubbish
"""


@pytest.fixture
def drive(tmp_path: Path) -> list[str]:
    (tmp_path / "one.dbc").write_text(DBC)
    (tmp_path / "drive.log").write_text(LOG)
    return ["decode", "--dbc", f"can0={tmp_path / 'one.dbc'}", "--log", str(tmp_path / "drive.log")]


def test_rows_are_json_with_exact_times_and_labels(drive, capsys):
    assert main([*drive, "--json"]) == 0

    out = capsys.readouterr()
    assert out.out.splitlines()[:2] == [
        '{"time":1700000000.123456789,"signal":"can0.Speed.Fast","value":10.0}',
        '{"time":1700000000.123456789,"signal":"can0.Speed.Gear","value":1.0,"label":"drive"}',
    ]
    rows = [json.loads(line) for line in out.out.splitlines()]
    assert [row["value"] for row in rows] == [10.0, 1.0, 0.0, 0.0, None]  # the last is not a number


def test_the_summary_says_what_became_of_every_frame(drive, capsys):
    main(drive)

    told = capsys.readouterr().err
    assert "4 frames, 3 decoded into 5 values, 5 printed; refused: 1 unknown id" in told
    assert "1 of can1" in told
    assert "1 lines or objects" in told
    assert "line 6: 'rubbish'" in told


def test_csv_has_a_heading_and_quotes_what_needs_it(drive, capsys):
    assert main([*drive, "--csv", "--signals", "*.Gear"]) == 0

    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["time", "signal", "value", "label"]
    assert rows[1] == ["1700000000.123456789", "can0.Speed.Gear", "1.0", "drive"]
    assert rows[2][1:] == ["can0.Speed.Gear", "0.0", "park, long"]


def test_a_limit_is_a_limit(drive, capsys):
    assert main([*drive, "--limit", "3"]) == 0

    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--limit", "0"], "prints nothing"),
        (["--signals", "nothing.*"], "no signal of these databases matches nothing.*"),
        (["--dbc", "can1"], "is not CHANNEL=FILE"),
        (["--dbc", "can1=/does/not/exist.dbc"], "cannot read the database"),
        (["--log", "/does/not/exist.log"], "cannot read the log"),
        (["--log", "{0}/empty.log"], "no CAN frame that can be read"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(tmp_path: Path, drive, capsys, change, said: str):
    (tmp_path / "empty.log").touch()

    assert main([*drive, *(text.format(tmp_path) for text in change)]) == 1

    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
