"""The root of AWS keys: made once, for its owner only."""

import threading
from pathlib import Path

import pytest

from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters.aws_root import FILE, aws_root


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path):
    first = aws_root(tmp_path)

    assert len(first) == 32
    assert aws_root(tmp_path) == first
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_of_many_who_make_it_at_once_all_use_one(tmp_path: Path):
    found, start = list[bytes](), threading.Barrier(8)

    def race() -> None:
        start.wait()
        found.append(aws_root(tmp_path))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert set(found) == {aws_root(tmp_path)}


@pytest.mark.parametrize("content", ["", "zz" * 32, "ab" * 31, "é"])
def test_what_is_no_root_is_said_to_be_none(tmp_path: Path, content: str):
    (tmp_path / FILE).write_text(content, encoding="utf-8")

    with pytest.raises(BadInput, match="holds no root"):
        aws_root(tmp_path)


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path):
    with pytest.raises(Unavailable, match="cannot use"):
        aws_root(tmp_path / "nowhere")
