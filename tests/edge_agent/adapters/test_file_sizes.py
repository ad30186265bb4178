"""Ways out of the folders that campaigns may ask about."""

from pathlib import Path

import pytest

from edge_agent.adapters.file_sizes import AllowedFileSizes
from fairway.errors import Denied, Unavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def test_nothing_is_allowed_by_default(folder: Path):
    with pytest.raises(Denied, match=r"functions\.file_size_paths"):
        AllowedFileSizes([]).size_bytes(f"{folder.parent}/secret")


def test_dots_do_not_lead_out(folder: Path):
    with pytest.raises(Denied):
        AllowedFileSizes([folder]).size_bytes(f"{folder}/../secret")


def test_links_do_not_lead_out(folder: Path):
    (folder / "link").symlink_to(folder.parent / "secret")

    with pytest.raises(Denied):
        AllowedFileSizes([folder]).size_bytes(f"{folder}/link")


def test_links_in_a_circle_are_no_file(folder: Path):
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")

    with pytest.raises(Unavailable):
        AllowedFileSizes([folder]).size_bytes(f"{folder}/a")


def test_a_folder_has_no_size(folder: Path):
    with pytest.raises(Unavailable, match="is no file"):
        AllowedFileSizes([folder]).size_bytes(str(folder))


def test_a_single_file_can_be_allowed(folder: Path):
    secret = folder.parent / "secret"

    assert AllowedFileSizes([secret]).size_bytes(str(secret)) == 1
