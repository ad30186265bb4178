"""Differences are made, applied, compared and measured; only what is worth it is kept."""

import random
from pathlib import Path

import pytest

from ota.delta.choose import worthwhile
from ota.delta.create import FORMS, Pair, made, pack
from ota.manifest import Blob, Form, Source

pytest.importorskip("detools")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    old = random.Random(1).randbytes(2 << 20)
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(old[: 1 << 20] + b"one change" + old[1 << 20 :])
    return Pair(folder / "old", folder / "new")


def test_every_form_is_small_for_a_small_change(pair: Pair, tmp_path: Path):
    found, left = made(pair, tmp_path, lambda _what: None)

    assert left == ()
    assert [one.form for one in found] == list(FORMS)
    assert all(one.length < 2000 for one in found)
    assert all(one.memory_bytes >= one.took.memory_bytes > 0 for one in found)


def test_the_same_pair_gives_the_same_bytes(pair: Pair, tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made(pair, tmp_path / name, lambda _what: None)
        pack(pair.image, tmp_path / name / "packed")

    for one in (tmp_path / "one").iterdir():
        assert one.read_bytes() == (tmp_path / "two" / one.name).read_bytes()


def test_what_cannot_be_made_says_why_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "old").write_bytes(b"")
    (tmp_path / "new").write_bytes(b"something")
    out = tmp_path / "out"
    out.mkdir()

    found, left = made(Pair(tmp_path / "old", tmp_path / "new"), out, lambda _what: None)

    assert found == ()
    assert [one.sentence for one in left] == [
        "the base has less than 8 bytes",
        "one of the images is empty",
        "one of the images is empty",
    ]
    assert list(out.iterdir()) == []


def source(form: Form, length: int, memory: int) -> Source:
    return Source(form, Blob("0" * 64, length), "1" * 64, memory)


def test_a_larger_one_stays_when_it_takes_less_memory():
    small = source(Form.DETOOLS_HDIFFPATCH, 100, 900)
    quick = source(Form.ZSTD_PATCH, 150, 950)
    light = source(Form.DETOOLS_SEQUENTIAL, 200, 30)

    assert worthwhile([light, quick, small], 1000) == (small, light)


def test_what_saves_less_than_a_tenth_is_not_kept():
    assert worthwhile([source(Form.ZSTD_PATCH, 901, 1)], 1000) == ()
    assert len(worthwhile([source(Form.ZSTD_PATCH, 900, 1)], 1000)) == 1
