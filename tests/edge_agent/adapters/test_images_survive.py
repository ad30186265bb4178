"""Power cuts, full disks and damage lose no image."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.adapters import overlay
from edge_agent.adapters.images import ImageStore
from fairway.errors import Tampered, Unavailable
from tests.edge_agent.adapters.image_store import AMD64, app, kept, opened_store
from tests.images import Made, file, layer, layout
from tests.overlays import needs_mounts
from tests.small_disk import small_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    with opened_store(tmp_path) as made:
        yield made


async def test_an_image_that_was_damaged_where_it_lies_is_told(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    await store.take(layout(tmp_path / "layout", image))
    blob = tmp_path / "store/blobs" / image.digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"sha256", b"sha255"))

    with pytest.raises(Tampered, match="keeps as"):
        await store.root(image.digest)


async def test_a_layer_that_is_gone_is_unpacked_once_more(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    await store.take(layout(tmp_path / "layout", image))
    for path in (tmp_path / "store/layers").glob("*.json"):
        path.unlink()

    root = await store.root(image.digest)

    assert (root.layers[1] / "app").read_bytes() == b"x"


async def test_what_is_mounted_is_never_removed(store: ImageStore, tmp_path: Path):
    two_layers, one_layer = app(b"x"), Made([layer(file("alone", b"1"))])
    await store.take(layout(tmp_path / "layout", two_layers, one_layer))
    for number, image in enumerate((two_layers, one_layer)):
        await overlay.mount_root(await store.root(image.digest), tmp_path / f"at{number}")

    assert await store.collect(frozenset()) == 0

    assert (tmp_path / "at0/app").read_bytes() == b"x"
    assert (tmp_path / "at1/alone").read_bytes() == b"1"
    await overlay.unmount(tmp_path / "at0")
    assert await store.collect(frozenset()) > 0
    assert (tmp_path / "at1/alone").read_bytes() == b"1"


async def test_nothing_is_removed_while_a_record_cannot_be_read(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    await store.take(layout(tmp_path / "layout", image))
    (record,) = (tmp_path / "store/images").iterdir()
    record.write_text("{")

    with pytest.raises(Unavailable, match="cannot be read"):
        await store.collect(frozenset({image.digest}))
    assert kept(tmp_path, "layers")


async def test_no_room_leaves_nothing_begun_and_it_works_when_there_is_room(tmp_path: Path):
    needs_mounts()
    image = Made([layer(file("big", os.urandom(3 << 20)))])
    path = layout(tmp_path / "layout", image)
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        store = ImageStore(disk.folder / "store", here=AMD64)
        try:
            for leaving in (1 << 20, 4 << 20):
                disk.fill(leaving_bytes=leaving)
                with pytest.raises(Unavailable, match=r"room|kept"):
                    await store.take(path)
                assert list((disk.folder / "store/begun").iterdir()) == []
                disk.clear()
            assert await store.take(path) == (image.digest,)
        finally:
            store.close()


TAKE = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
from edge_agent.adapters.images import ImageStore
from fairway.oci.model import Platform
store = ImageStore(Path(sys.argv[2]), here=Platform("linux", "amd64"))
print("ready", flush=True)
print(*asyncio.run(store.take(Path(sys.argv[1]))), flush=True)
"""


@pytest.mark.slow
async def test_a_power_cut_at_any_moment_loses_nothing_and_is_gone_on_from(tmp_path: Path):
    """kill -9 ever later, until one take() ends: what counts is whole each time."""
    needs_mounts()
    image = Made(
        [
            layer(*(file(f"f{number}", os.urandom(40_000)) for number in range(80)))
            for _ in range(3)
        ],
        how="zstd",
    )
    path, folder_ = layout(tmp_path / "layout", image), tmp_path / "store"
    cuts, wait_s = 0, 0.01
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", TAKE, str(path), str(folder_)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            child.wait(wait_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        said = child.stdout.read()
        child.stdout.close()
        for blob in (folder_ / "blobs").iterdir():
            if not blob.name.endswith(".new"):
                assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        if said:
            break
        cuts, wait_s = cuts + 1, wait_s * 1.7
        assert cuts < 60
    assert said.strip() == image.digest
    assert cuts > 1
    store = ImageStore(folder_, here=AMD64)
    try:
        await store.collect(frozenset({image.digest}))
        root = await store.root(image.digest)
        assert [len(list(one.iterdir())) for one in root.layers] == [80] * 3
        assert list((folder_ / "begun").iterdir()) == []
    finally:
        store.close()


async def test_a_copy_that_was_cut_off_is_gone_on_with_and_one_that_was_damaged_is_begun_anew(
    store: ImageStore, tmp_path: Path
):
    image = Made(
        [layer(file("a", os.urandom(100_000))), layer(file("b", os.urandom(100_000)))], how=""
    )
    path = layout(tmp_path / "layout", image)
    first, second = (one["digest"].removeprefix("sha256:") for one in image.manifest["layers"])  # type: ignore[attr-defined]
    begun = tmp_path / "store/begun"
    (begun / first).write_bytes(image.blobs[f"sha256:{first}"][:70_000])
    (begun / second).write_bytes(bytes(70_000))

    assert await store.take(path) == (image.digest,)


async def test_a_store_that_is_closed_stops_and_its_work_is_gone_on_with(tmp_path: Path):
    needs_mounts()
    image = Made(
        [layer(*(file(f"f{number}", os.urandom(20_000)) for number in range(400)))], how=""
    )
    path = layout(tmp_path / "layout", image)
    store = ImageStore(tmp_path / "store", here=AMD64)
    taking = asyncio.create_task(store.take(path))
    await asyncio.to_thread(until_begun, tmp_path / "store/begun", taking)
    await asyncio.to_thread(store.close)

    with suppress(Unavailable):  # or else it was quicker
        await taking
    again = ImageStore(tmp_path / "store", here=AMD64)
    assert await again.take(path) == (image.digest,)
    again.close()


def until_begun(folder_: Path, taking: "asyncio.Task[tuple[str, ...]]") -> None:
    end = time.monotonic() + 30
    while not any(folder_.iterdir()) and not taking.done() and time.monotonic() < end:
        time.sleep(0.001)


MEASURE = """
import asyncio, resource, sys
from pathlib import Path
from edge_agent.adapters.images import ImageStore
from fairway.oci.model import Platform
store = ImageStore(Path(sys.argv[2]), here=Platform("linux", "amd64"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(digest,) = asyncio.run(store.take(Path(sys.argv[1])))
asyncio.run(store.docker_archive(digest, Path(sys.argv[2]) / "docker.tar"))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_large_layer_is_never_held_in_memory(tmp_path: Path, how: str):
    needs_mounts()
    noise = os.urandom(1 << 20)
    image = Made([layer(*(file(f"f{at}", noise[at:] + noise[:at]) for at in range(48)))], how=how)
    with small_disk(
        tmp_path / "disk", 300 << 20
    ) as disk:  # the speed of a disk is not the question
        path = layout(disk.folder / "layout", image)
        said = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path), str(disk.folder / "store")],
            check=True,
            capture_output=True,
            text=True,
        )

    assert int(said.stdout) < 24 << 20  # of 48 MiB; a window of zstd is 8
