"""Layers become one root file system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters import overlay
from edge_agent.services.instance import ImageSettings, Root
from fairway.errors import BadInput, Conflict, Unavailable
from tests.overlays import all_unmounted, needs_mounts

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path):
    needs_mounts()
    with all_unmounted(tmp_path):
        yield tmp_path


def layers(folder: Path, *contents: dict[str, str]) -> Root:
    paths = []
    for number, files in enumerate(contents):
        layer = folder / f"layers,of:{number}"
        layer.mkdir()
        for name, text in files.items():
            (layer / name).write_text(text)
        paths.append(layer)
    return Root(DIGEST, tuple(paths), ImageSettings())


async def test_a_higher_layer_covers_a_lower_one(folder: Path):
    root = layers(folder, {"a": "low", "b": "low"}, {"b": "high"})

    await overlay.mount_root(root, folder / "at")

    assert ((folder / "at/a").read_text(), (folder / "at/b").read_text()) == ("low", "high")
    assert overlay.mounted()[folder / "at"] == DIGEST


@pytest.mark.parametrize("count", [1, 2])
async def test_nobody_writes_to_it_and_no_bit_or_device_of_it_counts(folder: Path, count: int):
    root = layers(folder, *[{"a": ""}] * count)

    await overlay.mount_root(root, folder / "at")

    with pytest.raises(OSError, match="Read-only"):
        (folder / "at/new").write_text("")
    flags = os.statvfs(folder / "at").f_flag
    assert flags & os.ST_NOSUID
    assert flags & 4  # nodev, which os has no name for


async def test_more_layers_than_their_paths_fit_into_a_page_are_mounted(folder: Path):
    root = layers(folder, *[{f"file{number}": str(number)} for number in range(overlay.LAYERS_MAX)])

    await overlay.mount_root(root, folder / "at")

    assert len(list((folder / "at").iterdir())) == overlay.LAYERS_MAX


@pytest.mark.parametrize("count", [1, 2])
async def test_what_is_mounted_already_is_kept(folder: Path, count: int):
    root = layers(folder, *[{"a": ""}] * count)
    await overlay.mount_root(root, folder / "at")
    before = (folder / "at").stat().st_dev

    await overlay.mount_root(root, folder / "at")

    assert (folder / "at").stat().st_dev == before
    await overlay.unmount(folder / "at")
    assert folder / "at" not in overlay.mounted()


async def test_another_image_is_not_mounted_over_one(folder: Path):
    root = layers(folder, {"a": ""}, {})
    await overlay.mount_root(root, folder / "at")

    with pytest.raises(Conflict, match="unmount it"):
        await overlay.mount_root(
            Root("sha256:" + "b" * 64, root.layers, ImageSettings()), folder / "at"
        )


async def test_a_mount_outlives_who_made_it_and_is_found_again(folder: Path):
    root = layers(folder, {"a": "low"}, {"b": "high"})
    code = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\n"
        "from edge_agent.adapters import overlay\nfrom edge_agent.services.instance import *\n"
        f"root = Root({DIGEST!r}, tuple(map(Path, sys.argv[2:])), ImageSettings())\n"
        "asyncio.run(overlay.mount_root(root, Path(sys.argv[1])))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    argv = [sys.executable, "-c", code, str(folder / "at"), *map(str, root.layers)]

    assert subprocess.run(argv, check=False).returncode == -9
    assert overlay.mounted()[folder / "at"] == DIGEST
    await overlay.mount_root(root, folder / "at")
    await overlay.unmount(folder / "at")
    assert not (folder / "at/a").exists()


async def test_what_is_in_use_is_unmounted_all_the_same(folder: Path):
    root = layers(folder, {"a": "still read"}, {})
    await overlay.mount_root(root, folder / "at")

    with (folder / "at/a").open() as used:
        await overlay.unmount(folder / "at")
        await overlay.unmount(folder / "at")
        await overlay.unmount(folder / "never was")

        assert used.read() == "still read"
    assert folder / "at" not in overlay.mounted()


async def test_a_layer_that_is_gone_is_unavailable(folder: Path):
    root = layers(folder, {"a": ""}, {})
    (folder / "gone").symlink_to(root.layers[0])

    for lost in (folder / "nowhere", folder / "gone"):
        with pytest.raises(Unavailable, match="cannot be mounted"):
            await overlay.mount_root(
                Root(DIGEST, (*root.layers, lost), root.settings), folder / "at"
            )
    assert folder / "at" not in overlay.mounted()


async def test_an_image_of_no_layers_is_refused(folder: Path):
    with pytest.raises(BadInput, match="0 layers"):
        await overlay.mount_root(Root(DIGEST, (), ImageSettings()), folder / "at")
