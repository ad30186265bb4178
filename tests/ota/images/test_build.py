"""Images are built from folders, and the same files are the same bytes."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from fairway.errors import BadInput, Conflict, Tampered
from fairway.oci.model import Compression, Platform, digest_of
from ota.images import members
from ota.images import source as sources
from ota.images.build import Built, Planned, Recipe, Settings, build, image_of
from tests.images import Made, file, folder, layer, layout, symlink

HERE = Platform("linux", "amd64")
SETTINGS = Settings(entrypoint=("/app/run", "--now"), user="7:7", environment=(("A", "1"),))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    (path / "inner").mkdir(parents=True)
    (path / "run").write_text("#!/bin/sh\n")
    (path / "run").chmod(0o775)
    (path / "inner/data").write_bytes(os.urandom(10_000))
    (path / "inner/link").symlink_to("data")
    return path


def recipe(app: Path, **said: object) -> Recipe:
    listed = members.members(members.Folder(app, "/app"), epoch_s=100)
    made = Recipe((Planned(listed, "app"),), SETTINGS, HERE, name="app:1", epoch_s=100)
    return replace(made, **said)  # type: ignore[arg-type]


def built(recipe_: Recipe, output: Path) -> Built:
    return build(recipe_, output, lambda _: None)


def tars(path: Path) -> list[dict[str, tarfile.TarInfo]]:
    """Return the members of all layers of the only image of a layout, read by Python's own library."""
    manifest = json.loads(blob(path, json.loads((path / "index.json").read_text())["manifests"][0]))
    found = []
    for one in manifest["layers"]:
        data = blob(path, one)
        if one["mediaType"].endswith("zstd"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        elif one["mediaType"].endswith("gzip"):
            data = gzip.decompress(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found.append({member.name: member for member in archive})
    return found


def blob(path: Path, descriptor: dict[str, str]) -> bytes:
    data = (path / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert digest_of(data) == descriptor["digest"]
    return data


@pytest.mark.parametrize("compression", list(Compression))
def test_a_folder_becomes_a_layer_of_roots_files_in_order(
    app: Path, tmp_path: Path, compression: Compression
):
    built(recipe(app, compression=compression), tmp_path / "out")

    (listed,) = tars(tmp_path / "out")

    assert list(listed) == ["app", "app/inner", "app/inner/data", "app/inner/link", "app/run"]
    assert {(one.uid, one.gid, one.uname, one.mtime) for one in listed.values()} == {
        (0, 0, "", 100)
    }
    assert [oct(one.mode) for one in listed.values()] == [
        "0o755",
        "0o755",
        "0o644",
        "0o777",
        "0o755",
    ]


def test_how_it_is_run_is_in_its_configuration(app: Path, tmp_path: Path):
    built(recipe(app), tmp_path / "out")

    source = sources.opened(tmp_path / "out")
    config = image_of(source, source.entries[0], HERE).config

    assert (config.argv, config.user, config.environment) == (
        SETTINGS.entrypoint,
        "7:7",
        (("A", "1"),),
    )
    assert (config.created, config.history) == ("1970-01-01T00:01:40Z", ("app",))
    assert source.entries[0].name == "app:1"


@pytest.mark.parametrize("output", ["out", "out.tar"])
def test_the_same_files_are_the_same_bytes_whoever_has_them(app: Path, tmp_path: Path, output: str):
    first = built(recipe(app), tmp_path / "first" / output)
    (tmp_path / "first" / output).rename(tmp_path / "kept")
    other = tmp_path / "elsewhere" / "app"
    other.parent.mkdir()
    subprocess.run(["cp", "-r", str(app), str(other)], check=True)
    (other / "inner").chmod(0o700)  # another umask
    (other / "run").chmod(0o700)
    os.utime(other / "run", (5, 5))

    assert built(recipe(other), tmp_path / "first" / output) == first
    assert contents(tmp_path / "first" / output) == contents(tmp_path / "kept")


def contents(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
    }


def test_the_bytes_do_not_depend_on_the_process_that_writes_them(app: Path, tmp_path: Path):
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.ota.images.test_build import recipe, built\n"
        "print(built(recipe(Path(sys.argv[1])), Path(sys.argv[2])).digest)\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(app), str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert digests == {built(recipe(app), tmp_path / "here").digest + "\n"}


def test_a_root_file_system_keeps_owners_modes_and_hard_links_and_leaves_devices_out(
    tmp_path: Path,
):
    root = tmp_path / "root"
    root.mkdir()
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "a").write_text("x")
    (root / "b").hardlink_to(root / "a")
    os.mkfifo(root / "fifo")
    if os.geteuid() == 0:
        os.chown(root / "tmp", 3, 4)
    at = (root / "tmp").stat()

    listed = {one.entry.name: one.entry for one in members.members(members.RootFs(root), epoch_s=0)}

    assert set(listed) == {b"a", b"b", b"tmp"}
    assert (listed[b"tmp"].mode, listed[b"tmp"].uid, listed[b"tmp"].gid) == (
        0o1777,
        at.st_uid,
        at.st_gid,
    )
    assert (listed[b"b"].kind.name, listed[b"b"].target) == ("HARD_LINK", b"a")


def test_a_base_gives_its_layers_and_what_is_not_said_anew(app: Path, tmp_path: Path):
    base = Made(
        [layer(folder("tmp", mode=0o1777, uid=5), file("lib", b"x"))],
        config={"Env": ["A=0", "B=2"], "User": "9", "WorkingDir": "/w", "Cmd": ["old"]},
    )
    (app / "tmp").mkdir()
    listed = members.members(members.Folder(app), epoch_s=0)
    based = recipe(app, base=layout(tmp_path / "base", base), layers=(Planned(listed, "app"),))

    one = built(replace(based, settings=replace(SETTINGS, user="")), tmp_path / "out")

    source = sources.opened(tmp_path / "out")
    config = image_of(source, source.entries[0], HERE).config
    assert (one.layers, config.user, config.folder) == (2, "9", "/w")
    assert config.environment == (("A", "1"), ("B", "2"))
    assert config.argv == SETTINGS.entrypoint  # and not the base's arguments
    assert len(config.history) == 2
    lower, upper = tars(tmp_path / "out")
    assert set(lower) == {"tmp", "lib"}
    assert (upper["tmp"].mode, upper["tmp"].uid) == (0o1777, 5)  # as the base has it


def test_files_where_a_base_has_a_link_are_refused(app: Path, tmp_path: Path):
    base = layout(tmp_path / "base", Made([layer(symlink("app", "usr/app"))]))

    with pytest.raises(BadInput, match="put the files where the link leads"):
        built(recipe(app, base=base), tmp_path / "out")


def test_a_base_that_is_not_what_it_says_is_refused(app: Path, tmp_path: Path):
    image = Made([layer(file("a", b"x"))])
    (digest,) = (one["digest"] for one in image.manifest["layers"])  # type: ignore[attr-defined]
    image.blobs[digest] = image.blobs[digest][:-1] + b"\1"

    with pytest.raises(Tampered):
        built(recipe(app, base=layout(tmp_path / "base", image)), tmp_path / "out")


def test_images_in_one_layout_share_their_blobs_and_one_of_the_same_name_is_replaced(
    app: Path, tmp_path: Path
):
    out = tmp_path / "out"
    one = built(recipe(app), out)
    before = len(list((out / "blobs/sha256").iterdir()))

    two = built(recipe(app, name="app:2", settings=replace(SETTINGS, user="8")), out)
    again = built(recipe(app, settings=replace(SETTINGS, user="9")), out)

    listed = {entry.name: entry.digest for entry in sources.opened(out).entries}
    assert listed == {"app:1": again.digest, "app:2": two.digest}
    assert again.digest != one.digest
    assert len(list((out / "blobs/sha256").iterdir())) == before + 4  # two documents each


def test_a_folder_that_is_something_else_is_not_written_into(app: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").write_text("x")

    with pytest.raises(BadInput, match="is no OCI layout"):
        built(recipe(app), tmp_path / "out")


def test_an_image_that_runs_nothing_is_refused(app: Path, tmp_path: Path):
    with pytest.raises(BadInput, match="runs nothing"):
        built(recipe(app, settings=Settings()), tmp_path / "out")


def test_a_file_that_changes_while_it_is_read_is_told(app: Path, tmp_path: Path):
    made = recipe(app)
    (app / "inner/data").write_bytes(b"shorter")

    with pytest.raises(Conflict, match="changed while it was read"):
        built(made, tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["app"]  # nothing half-written is left


def test_what_python_compiled_meanwhile_is_left_out(app: Path):
    before = members.members(members.Folder(app), epoch_s=0)
    (app / "inner/__pycache__").mkdir()
    (app / "inner/__pycache__/m.pyc").write_bytes(os.urandom(9))

    assert members.members(members.Folder(app), epoch_s=0) == before


@pytest.mark.parametrize("name", ["fifo", ".wh.hidden"])
def test_what_an_image_cannot_have_is_refused(app: Path, name: str):
    if name == "fifo":
        os.mkfifo(app / name)
    else:
        (app / name).write_text("")

    with pytest.raises(BadInput, match=name):
        members.members(members.Folder(app), epoch_s=0)


def test_a_prefix_that_leads_out_is_refused(app: Path):
    with pytest.raises(BadInput, match="leads up"):
        members.members(members.Folder(app, "/../etc"), epoch_s=0)
