"""A difference gives the image that was signed, or nothing: streaming, in bounded memory."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput, Tampered, Unavailable
from ota.delta.apply import Work, applied, forms, memory_of
from ota.delta.create import Pair, made, pack
from ota.manifest import Form

pytest.importorskip("detools")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    chance = random.Random(7)
    old = chance.randbytes(300_000) + b"a service of the vehicle " * 4000
    new = bytearray(old[:200_000] + chance.randbytes(500) + old[190_000:])
    for _ in range(40):
        at = chance.randrange(len(new) - 20)
        new[at : at + 12] = chance.randbytes(12)
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(new)
    return Pair(folder / "old", folder / "new")


@pytest.fixture(scope="module")
def patches(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> dict[Form, Path]:
    folder = tmp_path_factory.mktemp("patches")
    found, left = made(pair, folder, lambda _what: None)
    assert left == ()
    pack(pair.image, folder / "zstd")
    return {one.form: one.path for one in found} | {
        Form.ZSTD: folder / "zstd",
        Form.PLAIN: pair.image,
    }


def work(form: Form, fetched: Path, pair: Pair, **changed: object) -> Work:
    image = pair.image.read_bytes()
    usual = {
        "sha256": hashlib.sha256(image).hexdigest(),
        "length": len(image),
        "base": pair.base,
    }
    return Work(form, fetched, **(usual | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", list(Form))
def test_what_was_fetched_becomes_the_image(form: Form, patches, pair: Pair, tmp_path: Path):
    applied(work(form, patches[form], pair), tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == pair.image.read_bytes()


def test_all_forms_can_be_applied_here():
    assert set(forms()) == set(Form)


@pytest.mark.parametrize("form", [one for one in Form if one not in (Form.PLAIN, Form.ZSTD)])
def test_another_base_is_refused_and_leaves_nothing(form, patches, pair: Pair, tmp_path: Path):
    wrong = bytearray(pair.base.read_bytes())
    wrong[:150_000] = os.urandom(150_000)
    (tmp_path / "wrong").write_bytes(wrong)

    with pytest.raises(Tampered):
        applied(work(form, patches[form], pair, base=tmp_path / "wrong"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", [one for one in Form if one not in (Form.PLAIN, Form.ZSTD)])
def test_a_difference_without_its_base_is_bad_input(form, patches, pair: Pair, tmp_path: Path):
    with pytest.raises(BadInput, match="needs the image that it is against"):
        applied(work(form, patches[form], pair, base=None), tmp_path / "out")


@pytest.mark.parametrize("form", list(Form))
def test_another_hash_is_refused_and_leaves_nothing(form, patches, pair: Pair, tmp_path: Path):
    with pytest.raises(Tampered, match="came out"):
        applied(work(form, patches[form], pair, sha256="0" * 64), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", list(Form))
def test_no_byte_more_than_the_image_is_written(form, patches, pair: Pair, tmp_path: Path):
    with pytest.raises(Tampered, match="more than the 1000 bytes"):
        applied(work(form, patches[form], pair, length=1000), tmp_path / "out")


def test_a_bomb_is_stopped_at_the_length_of_the_image(pair: Pair, tmp_path: Path):
    (tmp_path / "bomb").write_bytes(zstandard.compress(bytes(200 << 20)))

    with pytest.raises(Tampered, match="more than the"):
        applied(work(Form.ZSTD, tmp_path / "bomb", pair), tmp_path / "out")


@pytest.mark.parametrize("form", list(Form))
def test_what_would_take_too_much_memory_is_not_begun(form, patches, pair: Pair, tmp_path: Path):
    (tmp_path / "out").write_bytes(b"as it was")
    most = memory_of(form, patches[form], pair.base) - 1

    with pytest.raises(BadInput, match="bytes of memory"):
        applied(work(form, patches[form], pair, memory_max_bytes=most), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"as it was"


def test_one_difference_does_not_pass_for_another(patches, pair: Pair, tmp_path: Path):
    heavy = patches[Form.DETOOLS_HDIFFPATCH]

    with pytest.raises(Tampered, match="no difference of the form"):
        applied(work(Form.DETOOLS_SEQUENTIAL, heavy, pair), tmp_path / "out")


def test_a_folder_that_cannot_be_written_may_work_later(patches, pair: Pair, tmp_path: Path):
    with pytest.raises(Unavailable, match="cannot be written"):
        applied(work(Form.PLAIN, patches[Form.PLAIN], pair), tmp_path / "none" / "out")


def test_it_can_be_given_up(patches, pair: Pair, tmp_path: Path):
    def enough(_written: int) -> None:
        raise Unavailable("cancelled")

    with pytest.raises(Unavailable, match="cancelled"):
        applied(work(Form.ZSTD, patches[Form.ZSTD], pair), tmp_path / "out", enough)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", [one for one in Form if one is not Form.PLAIN])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 3000), noise=st.binary(min_size=1, max_size=40))
def test_a_broken_difference_is_refused(form, at, noise, patches, pair: Pair, tmp_path: Path):
    whole = patches[form].read_bytes()
    at %= len(whole)
    broken = whole[:at] + noise + whole[at + len(noise) :]
    (tmp_path / "broken").write_bytes(broken)
    try:
        applied(work(form, tmp_path / "broken", pair, memory_max_bytes=1 << 30), tmp_path / "out")
    except (Tampered, BadInput):
        assert not (tmp_path / "out").exists()
    else:
        assert (tmp_path / "out").read_bytes() == pair.image.read_bytes()


def test_a_vehicle_applies_without_anything_that_makes_or_signs():
    code = "import sys, ota.delta.apply; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())

    assert not {one for one in loaded if one.startswith(("ota.release", "ota.cli", "tuf"))}
    assert not loaded & {"ota.delta.create", "backports.zstd", "detools", "subprocess"}
