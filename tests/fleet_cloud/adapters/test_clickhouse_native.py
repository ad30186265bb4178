"""The Native format: what is encoded is decoded, and garbage is one clear error."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import Unavailable
from fleet_cloud.adapters.clickhouse_native import Column, Words, decoded, encoded, numbers, texts

NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30)
WORDS = st.lists(st.text(max_size=5), min_size=1, max_size=300, unique=True)


def content(column: Column) -> list[object]:
    return list(column.texts() if isinstance(column, Words) else column.tolist())


@given(numbers_=NUMBERS, words=WORDS)
@settings(max_examples=60)
def test_a_block_survives(numbers_: list[int], words: list[str]):
    rows = len(numbers_)
    index = np.arange(rows) % len(words)
    block: dict[str, tuple[str, Column]] = {
        "number": ("Int64", np.array(numbers_, np.int64)),
        "part": ("Float64", np.array(numbers_, np.float64)),
        "word": ("LowCardinality(String)", Words(tuple(words), index)),
        "day": ("Date", np.arange(rows)),
    }
    found = decoded(b"".join(encoded(block)))

    assert {name: content(column) for name, column in found.items()} == {
        name: content(column) for name, (_, column) in block.items()
    }


@pytest.mark.parametrize("words", [1, 256, 257, 65_536, 65_537])
def test_an_index_is_as_wide_as_its_words_need(words: int):
    column = Words(tuple(str(n) for n in range(words)), np.array([0, words - 1]))
    found = decoded(b"".join(encoded({"word": ("LowCardinality(String)", column)})))

    assert texts(found, "word") == ["0", str(words - 1)]


def test_blocks_of_one_answer_are_joined_and_their_words_renumbered():
    def block(*words: str) -> bytes:
        column = Words(words, np.arange(len(words)))
        return b"".join(
            encoded(
                {"w": ("LowCardinality(String)", column), "n": ("UInt8", np.arange(len(words)))}
            )
        )

    found = decoded(block("a", "b") + block("b", "c", "d"))

    assert texts(found, "w") == ["a", "b", "b", "c", "d"]
    assert numbers(found, "n", np.int64).tolist() == [0, 1, 0, 1, 2]


def test_the_bytes_are_those_an_engine_of_2018_sends():
    # SELECT toUInt8(7) AS n, 'ab' AS t  FORMAT Native
    answer = bytes.fromhex("02 01 01 6e 05 55496e7438 07 01 74 06 537472696e67 02 6162")

    found = decoded(answer)

    assert (numbers(found, "n", np.int64).tolist(), texts(found, "t")) == ([7], ["ab"])


def test_an_answer_without_rows_may_be_nothing_at_all():
    assert (texts(decoded(b""), "t"), len(numbers(decoded(b""), "n", np.int64))) == ([], 0)


@given(data=st.binary(max_size=60))
@settings(max_examples=200)
def test_garbage_is_unavailable(data: bytes):
    with contextlib.suppress(Unavailable):
        decoded(data)


@given(cut=st.integers(0, 200), flip=st.integers(0, 255))
@settings(max_examples=200)
def test_a_damaged_block_is_unavailable_or_other_data(cut: int, flip: int):
    column = Words(("a", "bc"), np.array([0, 1, 1]))
    whole = b"".join(
        encoded({"w": ("LowCardinality(String)", column), "n": ("Int64", np.arange(3))})
    )
    at = cut % len(whole)
    for damaged in (whole[:at], whole[:at] + bytes([flip]) + whole[at + 1 :]):
        with contextlib.suppress(Unavailable):
            decoded(damaged)
