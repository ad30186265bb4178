"""Logs cut, stirred and spliced: every format gives frames or refuses in one sentence."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.log_writers import open_writer
from edge_agent.canbus.frames import EXTENDED, FD, Frame, block_of
from fairway.errors import BadInput
from tests.shared_data import shared

SUFFIXES = [".log", ".asc", ".trc", ".blf", ".log.xz", ".asc.gz"]
FRAMES = [
    Frame(0x123, bytes.fromhex("00112233"), 1_700_000_000_000_000_000, 0),
    Frame(0x18FEF100 | EXTENDED, bytes(range(8)), 1_700_000_000_001_000_000, 1),
    Frame(0x7FF, bytes(range(64)), 1_700_000_000_002_000_000, 0, FD),
    Frame(0x000, b"", 1_700_000_000_003_000_000, 2),
] * 5

# Pieces of the formats themselves go deeper than noise does.
PIECES = st.sampled_from(
    [
        b"\n", b" ", b"#", b"##", b"(", b")", b"R", b"Rx", b"d", b"x", b"-", b".", b"\0", b"\xff", b"nan",
        b"1e999", b"999999999999999999999", b"can0", b"base dec", b"date ", b";$", b";$COLUMNS=N,O,I",
        b";$FILEVERSION=1.3", b"LOBJ", b"LOGG", b"CANFD", b"ErrorFrame", b"--", b"64", b"255",
    ]
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 40), PIECES | st.binary(max_size=4)),
    min_size=1,
    max_size=8,
)


def read(path: Path) -> int:
    """Return how many frames come out of the log; whatever comes out must be whole."""
    frames = 0
    try:
        for block in open_log(path):
            lengths = np.diff(block.offset.astype(np.int64))
            assert len(lengths) == len(block)
            assert int(block.offset[-1]) <= len(block.payload)
            assert 0 <= int(lengths.min(initial=0)) <= int(lengths.max(initial=0)) <= 64
            frames += len(block)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    return frames


def changed(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    damaged = bytearray(content)
    for place, length, piece in changes:
        at = place % (len(damaged) + 1)
        damaged[at : at + length] = piece
    return bytes(damaged)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def sound(folder: Path) -> Callable[[str], bytes]:
    def of(suffix: str) -> bytes:
        path = folder / f"sound{suffix}"
        if not path.exists():
            writer = open_writer(path, ["can0", "can1", "can2"])
            writer.write(block_of(FRAMES))
            writer.close()
        return path.read_bytes()

    return of


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=40)
@given(changes=CHANGES)
def test_a_damaged_log_gives_what_it_has_or_is_refused(
    folder: Path,
    sound: Callable[[str], bytes],
    suffix: str,
    changes: list[tuple[int, int, bytes]],
):
    path = folder / f"damaged{suffix}"
    path.write_bytes(changed(sound(suffix), changes))

    assert read(path) >= 0


@pytest.mark.parametrize("columns", ["N,O,T,I,d,l", "N,O,T,I,d,D", "O,I", "-D", ""])
def test_a_trc_without_a_column_it_needs_is_no_crash(tmp_path: Path, columns: str):
    path = tmp_path / "drive.trc"
    path.write_text(
        f";$FILEVERSION=2.0\n;$COLUMNS={columns}\n      1      1000.000 DT  0123 Rx 2  A6 34\n"
    )

    assert read(path) in (0, 1)


@settings(max_examples=10)
@given(changes=CHANGES)
def test_a_damaged_mf4_says_nothing_on_standard_output(
    folder: Path, changes: list[tuple[int, int, bytes]]
):
    content = shared("can/logs/css-electronics/uds-fcbf0606.MF4").read_bytes()
    path = folder / "damaged.MF4"
    path.write_bytes(changed(content, changes))

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert read(path) >= 0
    assert said.getvalue() == ""
