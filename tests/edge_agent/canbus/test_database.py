"""The front door: every database of the corpora comes in, and nothing else does."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.canbus import database
from fairway.errors import BadInput
from tests.shared_data import shared

ONE_MESSAGE = b'BO_ 100 Speeds: 8 ABS\n SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" Gateway\n'


def databases(folder: str) -> list[Path]:
    return sorted(
        path for path in shared(f"can/dbc/{folder}").iterdir() if path.suffix.lower() == ".dbc"
    )


@pytest.mark.parametrize(
    ("folder", "files", "messages", "signals"),
    [
        # opendbc's own reader counts 5,885 and 46,461: it takes the 5 VECTOR__INDEPENDENT_SIG_MSG of
        # Vector's tools, with their 166 signals that no frame carries, for messages.
        ("opendbc", 96, 5885 - 5, 46461 - 166),
        ("cantools", 83, 438, 1155),
        ("model3dbc", 1, 148, 3172),
        ("kuksa-can-provider", 1, 159, 2752),
        ("canmatrix", 1, 357, 2390),
        ("css-electronics", 6, 25, 112),
    ],
)
def test_every_dbc_of_the_corpora_loads(folder: str, files: int, messages: int, signals: int):
    loaded = [database.load(path) for path in databases(folder)]

    assert len(loaded) == files
    assert sum(len(one.messages) for one in loaded) == messages
    assert sum(len(message.signals) for one in loaded for message in one.messages) == signals


def test_the_databases_of_fleetwise_load():
    loaded = [database.load(path) for path in shared("edge/fleetwise/dbc").glob("*.dbc")]

    assert len(loaded) == 5
    assert all(one.messages for one in loaded)


def test_problems_carry_the_line_they_stand_at():
    radar = database.load(shared("can/dbc/opendbc/toyota_radar_dsu_tssp.dbc"))

    assert ("this comment does not end with a semicolon", 138) in {
        (problem.text, problem.line) for problem in radar.problems
    }


def test_the_suffix_may_be_written_in_capitals(tmp_path: Path):
    path = tmp_path / "CHASSIS.DBC"
    path.write_bytes(ONE_MESSAGE)

    assert database.load(path).name == "CHASSIS"


def test_a_missing_file_is_named():
    with pytest.raises(BadInput, match=r"cannot read the database nowhere\.dbc: No such file"):
        database.load(Path("nowhere.dbc"))


def test_a_folder_is_no_database(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot read the database"):
        database.load(tmp_path)


def test_a_file_that_cannot_be_read_says_which(tmp_path: Path):
    path = tmp_path / "empty.dbc"
    path.touch()

    with pytest.raises(BadInput, match=r"empty\.dbc: empty is no DBC file"):
        database.load(path)


@pytest.mark.parametrize("suffix", [".txt", "", ".cdd", ".ldf"])
def test_an_unknown_format_is_refused_with_those_that_would_do(suffix: str):
    with pytest.raises(BadInput, match=r"give a \.dbc"):
        database.loads(ONE_MESSAGE, name="bus", suffix=suffix)


def test_a_huge_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "DATABASE_MAX_BYTES", 50)

    with pytest.raises(BadInput, match="larger than 50 bytes"):
        database.loads(ONE_MESSAGE, name="bus", suffix=".dbc")


def test_reading_dbc_files_loads_neither_cantools_nor_numpy():
    code = (
        "import sys; from edge_agent.canbus import database;"
        f"database.loads({ONE_MESSAGE!r}, name='bus', suffix='.dbc');"
        "print(*{'cantools', 'numpy', 'can'} & set(sys.modules))"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert out.stdout.split() == []
