"""What every answer about a file's size promises: of what is allowed, and of nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.adapters.file_sizes import AllowedFileSizes
from edge_agent.adapters.memory import MemoryFileSizes
from edge_agent.functions.native import FileSizes
from fairway.errors import Denied, Unavailable


@dataclass
class Rig:
    """A file of 12 bytes and a missing one that may be asked for, and one that may not."""

    sizes: FileSizes
    allowed: str
    missing: str
    forbidden: str


def on_disk(folder: Path) -> Rig:
    open_to_all, closed = folder / "logs", folder / "secrets"
    for one in (open_to_all, closed):
        one.mkdir()
        (one / "file").write_bytes(b"twelve bytes")
    sizes = AllowedFileSizes([open_to_all])
    return Rig(sizes, f"{open_to_all}/file", f"{open_to_all}/none", f"{closed}/file")


def in_memory(_: Path) -> Rig:
    return Rig(MemoryFileSizes({"/a/file": 12, "/a/none": None}), "/a/file", "/a/none", "/b/file")


@pytest.fixture(params=[on_disk, in_memory])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    build: Callable[[Path], Rig] = request.param
    return build(tmp_path)


def test_an_allowed_file_has_its_size(rig: Rig):
    assert rig.sizes.size_bytes(rig.allowed) == 12


def test_a_missing_file_may_come_later(rig: Rig):
    with pytest.raises(Unavailable):
        rig.sizes.size_bytes(rig.missing)


@pytest.mark.parametrize("ending", ["", "_that_is_not_there"])
def test_what_is_not_allowed_is_denied_whether_it_is_there_or_not(rig: Rig, ending: str):
    with pytest.raises(Denied):
        rig.sizes.size_bytes(rig.forbidden + ending)


@pytest.mark.parametrize("path", ["", "relative", "/", "/\0", "/" + "x" * 5000])
def test_what_is_no_allowed_path_is_denied(rig: Rig, path: str):
    with pytest.raises(Denied):
        rig.sizes.size_bytes(path)
