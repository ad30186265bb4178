"""`edge-agent lint-dbc`: what people and machines are told about databases."""

import json
from pathlib import Path

import pytest

from edge_agent.cli import main
from tests.shared_data import shared

SOUND = 'BO_ 100 Speeds: 8 ABS\n SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" Gateway\n'
ODD = 'BO_ 100 Speeds: 8 ABS\n SG_ Speed : 0|@1+\n SG_ Zero : 0|8@1+ (0,0) [0|1] "" Gateway\n'


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"sound.dbc": SOUND, "odd.dbc": ODD, "empty.dbc": "", "notes.txt": "text"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in [*texts, "missing.dbc"]}


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["lint-dbc", *arguments])
    return code, capsys.readouterr().out.splitlines()


def test_a_sound_file_is_counted(files: dict[str, str], capsys: pytest.CaptureFixture[str]):
    code, lines = lint(capsys, files["sound.dbc"])

    assert code == 0
    assert lines == [
        f"{files['sound.dbc']}: loaded, 1 message, 1 signal, 0 errors, 0 warnings",
        "1 of 1 file loaded: 1 message, 1 signal, 0 errors, 0 warnings",
    ]


def test_problems_are_listed_by_line_but_are_no_failure(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    code, lines = lint(capsys, files["odd.dbc"])

    assert code == 0
    assert lines[0].startswith(f"{files['odd.dbc']}:2: error: cannot read this SG_ statement")
    assert lines[1].startswith(
        f"{files['odd.dbc']}:3: warning: signal Zero of Speeds has the factor 0"
    )
    assert lines[-1] == "1 of 1 file loaded: 1 message, 1 signal, 1 error, 1 warning"


def test_quiet_leaves_out_warnings(files: dict[str, str], capsys: pytest.CaptureFixture[str]):
    _, lines = lint(capsys, "--quiet", files["odd.dbc"])

    assert len(lines) == 3


def test_strict_makes_problems_a_failure(files: dict[str, str], capsys: pytest.CaptureFixture[str]):
    assert lint(capsys, "--strict", files["odd.dbc"])[0] == 1
    assert lint(capsys, "--strict", files["sound.dbc"])[0] == 0


@pytest.mark.parametrize("bad", ["empty.dbc", "notes.txt", "missing.dbc"])
def test_a_file_that_cannot_be_read_is_a_failure_and_the_others_are_read(
    bad: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    code, lines = lint(capsys, files[bad], files["sound.dbc"])

    assert code == 1
    assert lines[0].startswith(f"{files[bad]}: not loaded: ")
    assert lines[-1].startswith("1 of 2 files loaded")


def test_json_says_the_same_to_machines(files: dict[str, str], capsys: pytest.CaptureFixture[str]):
    code, lines = lint(capsys, "--json", files["odd.dbc"], files["missing.dbc"])
    document = json.loads("\n".join(lines))

    assert code == 1
    assert (document["loaded"], document["errors"], document["warnings"]) == (1, 1, 1)
    assert [one["loaded"] for one in document["files"]] == [True, False]
    assert document["files"][0]["problems"][1]["line"] == 3
    assert "No such file" in document["files"][1]["error"]


@pytest.mark.parametrize(("corpus", "count"), [("opendbc", 96), ("cantools", 83)])
def test_every_database_of_the_corpora_is_read(
    corpus: str, count: int, capsys: pytest.CaptureFixture[str]
):
    paths = [str(p) for p in shared(f"can/dbc/{corpus}").iterdir() if p.suffix.lower() == ".dbc"]

    code, lines = lint(capsys, *paths)

    assert code == 0
    assert lines[-1].startswith(f"{count} of {count} files loaded")
    assert all(":" in line for line in lines)


def test_no_file_is_a_wrong_command_line():
    with pytest.raises(SystemExit) as ended:
        main(["lint-dbc"])

    assert ended.value.code == 2
