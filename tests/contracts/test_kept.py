"""What everything that keeps records promises."""

from pathlib import Path

import pytest

from edge_agent.adapters.kept_files import KeptFiles, MemoryKept
from edge_agent.telemetry.kept import Kept
from fairway.errors import Unavailable


@pytest.fixture(params=["memory", "files"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return MemoryKept() if request.param == "memory" else KeptFiles(tmp_path / "campaigns")


def test_a_record_comes_back_as_it_was_last_kept(kept: Kept):
    kept.keep("list", b"one")
    kept.keep("list", b"\x00two")
    kept.keep("counts", b"")

    assert (kept.read("list"), kept.read("counts")) == (b"\x00two", b"")


def test_a_record_that_was_never_kept_is_none(kept: Kept):
    assert kept.read("list") is None


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="cannot be kept"):
        KeptFiles(tmp_path / "file").keep("list", b"")


def test_a_record_that_is_too_large_to_be_ours_is_not_read(tmp_path: Path):
    with (tmp_path / "list").open("wb") as file:
        file.truncate(1 << 30)

    assert KeptFiles(tmp_path).read("list") is None
