"""`fairway image` builds images, says what they are, and refuses what makes no sense in one sentence."""

import json
import os
from pathlib import Path

import pytest

from simulators.demo.cli import main
from tests.images import Made, file, layer, layout, symlink


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("print('hello')\n")
    return tmp_path / "app"


def built(app: Path, output: Path, *more: str) -> list[str]:
    return [
        "image",
        "build",
        "--layer",
        f"{app}:/app",
        "--output",
        str(output),
        "--entrypoint",
        "/app/main.py -u 'a b'",
        *more,
    ]


def test_an_image_is_built_and_said_what_it_is(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    more = [
        "--name",
        "localhost/a:1",
        "--user",
        "7:8",
        "--env",
        "A=b=c",
        "--label",
        "l=m",
        "--workdir",
        "/app",
    ]
    more += [
        "--stop-signal",
        "SIGINT",
        "--command",
        "x",
        "--platform",
        "linux/arm64",
        "--epoch",
        "60",
        "--compress",
        "gzip",
    ]
    assert main(built(app, tmp_path / "out", "--json", *more)) == 0
    made = json.loads(capsys.readouterr().out)

    assert (
        main(["image", "inspect", str(tmp_path / "out"), "--json", "--platform", "linux/arm64"])
        == 0
    )

    (seen,) = json.loads(capsys.readouterr().out)
    (one,) = seen.pop("layers")
    assert seen == {
        "digest": made["digest"],
        "name": "localhost/a:1",
        "platform": "linux/arm64",
        "created": "1970-01-01T00:01:00Z",
        "entrypoint": ["/app/main.py", "-u", "a b"],
        "command": ["x"],
        "environment": {"A": "b=c"},
        "workdir": "/app",
        "user": "7:8",
        "stop_signal": "SIGINT",
        "labels": {"l": "m"},
    }
    assert one["entries"] == 2
    assert [one[key] for key in ("tar_bytes", "packed_bytes")] == [
        made["tar_bytes"],
        made["packed_bytes"],
    ]


def test_people_read_what_an_image_is(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (app / "su").write_text("")
    (app / "su").chmod(0o4755)
    assert (
        main(
            [
                "image",
                "build",
                "--rootfs",
                str(app),
                "--output",
                f"{tmp_path}/o.tar",
                "--entrypoint",
                "/su",
            ]
        )
        == 0
    )
    digest = capsys.readouterr().out.split()[0]

    assert main(["image", "inspect", f"{tmp_path}/o.tar"]) == 0

    said = capsys.readouterr()
    assert f"image     {digest}" in said.out
    assert "runs      /su" in said.out
    assert "dropped on a vehicle: 'su' lost its set-user-id bit" in said.out
    assert "layer 1 of 1" in said.err  # progress


def test_the_epoch_of_builders_is_the_time_of_all_files(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", "86400")

    assert main(built(app, tmp_path / "out")) == 0
    assert main(["image", "inspect", str(tmp_path / "out"), "--json"]) == 0

    assert '"created": "1970-01-02T00:00:00Z"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--env", "A"], "--env 'A' is no NAME=VALUE"),
        (["--label", "=x"], "--label '=x' is no NAME=VALUE"),
        (["--workdir", "app"], "must begin with /"),
        (["--epoch", "-1"], "out of range"),
        (["--platform", "arm64"], "linux/arm64"),
        (["--command", "'"], "cannot be split"),
        (["--package", "grpcio"], "goes with --python"),
        (["--python", "--platform", "linux/riscv64"], "leave --base and --platform out"),
        (["--python", "--package", "no-such-package-anywhere"], "is not installed here"),
        (["--python", "--package", "fairway"], "not installed from a wheel"),
        (["--base", "/nowhere/at/all"], "is not there"),
        (["--rootfs", "/nowhere/at/all"], "is no folder"),
        (["--layer", "/nowhere/at/all:/x"], "is no folder"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], match: str
):
    assert main(built(app, tmp_path / "out", *more)) == 1

    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fairway: ")
    assert match in said


def test_a_wrong_command_line_is_2(capsys: pytest.CaptureFixture[str]):
    for arguments in (
        ["image"],
        ["image", "build"],
        ["image", "build", "--output", "x", "--compress", "rar"],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
    assert "usage: fairway image" in capsys.readouterr().err


def test_an_empty_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["image", "build", "--output", str(tmp_path / "out")]) == 1
    assert "would be empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (Made([layer(symlink("a", "../.."))]), "leads out of the image"),
        (Made([layer(file("../a"))]), "leads up"),
        (Made([layer(file("a"))], platform={"os": "linux", "architecture": "amd64"}, blobs={}), ""),
    ],
)
def test_inspection_says_what_a_vehicle_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: Made, match: str
):
    code = main(["image", "inspect", str(layout(tmp_path / "layout", image))])

    assert code == (1 if match else 0)
    assert match in capsys.readouterr().err


def test_inspection_says_what_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = Made([layer(file("a", b"x"))], how="")
    digest = image.manifest["layers"][0]["digest"]  # type: ignore[index]
    image.blobs[digest] = image.blobs[digest].replace(b"x", b"y")

    assert main(["image", "inspect", str(layout(tmp_path / "layout", image))]) == 1
    assert f"what is called {digest} is" in capsys.readouterr().err
