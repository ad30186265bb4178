"""Signals by path and by pattern, and which values they take."""

import fnmatch
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.signals import Signals, signals_of
from edge_agent.broker.values import check, limits_of
from fairway.catalog.model import Leaf
from fairway.errors import BadInput
from fairway.samples import Kind, Signal, SignalTable

TREE = Signals(
    Leaf(path, "float", "sensor") for path in ("A.B.C", "A.B.D", "A.E.C", "A.E.F.C", "G", "A.B2.C")
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", "A.B.C A.B.D A.E.C A.E.F.C G A.B2.C"),
        ("**", "A.B.C A.B.D A.E.C A.E.F.C G A.B2.C"),
        ("A.B", "A.B.C A.B.D"),
        ("A.B.C", "A.B.C"),
        ("A.*.C", "A.B.C A.E.C A.B2.C"),
        ("A.**.C", "A.B.C A.E.C A.E.F.C A.B2.C"),
        ("A.E.**", "A.E.C A.E.F.C"),
        ("**.C", "A.B.C A.E.C A.E.F.C A.B2.C"),
        ("A.*", ""),
        ("*", "G"),
        ("A.B.C.D", ""),
        ("B", ""),
    ],
)
def test_a_pattern_is_for_a_leaf_a_branch_or_what_its_wildcards_leave_open(pattern, found):
    assert [TREE[number].path for number in TREE.matching(pattern)] == found.split()


@pytest.mark.parametrize(
    "pattern", ["A..B", "A.B*", ".A", "A.", "***", "A B", "x" * 1001, "**.a." * 5]
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(BadInput):
        TREE.matching(pattern)


@given(st.text(alphabet="AB.*x$(+", max_size=40))
def test_any_text_is_a_pattern_or_refused_and_never_runs_away(text):
    try:
        found = TREE.matching(text)
    except BadInput:
        return
    if "**" not in text and "*" in text:
        levels = text.split(".")
        paths = [TREE[number].path.split(".") for number in found]
        assert all(
            len(path) == len(levels) and all(map(fnmatch.fnmatchcase, path, levels))
            for path in paths
        )


def test_what_buses_bring_follows_the_catalogue_and_odd_types_are_left_out():
    table = SignalTable((Signal("G"), Signal("can0.M.S", Kind.TEXT), Signal("H", unit="V")))
    signals = signals_of([Leaf("G", "uint8", "sensor"), Leaf("H", "struct", "sensor")], table)

    assert [(leaf.path, leaf.datatype) for leaf in signals] == [
        ("G", "uint8"),
        ("can0.M.S", "string"),
        ("H", "double"),
    ]
    assert signals.numbers_of(table).tolist() == [0, 1, 2]


NAN = math.nan
VALUES = [
    (Leaf("S", "uint8", "sensor"), [0, 255], [-1, 256, 1.0, True, "1", None]),
    (Leaf("S", "int16", "sensor", min=-5, max=5), [-5, 5], [-6, 6]),
    (Leaf("S", "float", "sensor", max=0.1), [0.10000000149011612, -1e38], [0.2, NAN, -1e39, 1]),
    (Leaf("S", "double", "sensor"), [1e300, -1.0], [math.inf, NAN, 1]),
    (Leaf("S", "boolean", "sensor"), [True, False], [0, 1.0, "true"]),
    (Leaf("S", "string", "sensor", allowed=("A", "B")), ["A"], ["C", "", 1]),
    (Leaf("S", "string", "sensor", pattern="[A-Z]{2}"), ["AB"], ["ABC", "A" * 1000]),
    (Leaf("S", "uint8", "sensor", allowed=(1, 3)), [1, 3], [2]),
    (Leaf("S", "int8[]", "sensor", max=3), [(), (1, 3)], [(1, 4), "ab", 1, (1,) * 2000]),
    (Leaf("S", "uint64", "sensor"), [2**64 - 1], [2**64, -1]),
]


@pytest.mark.parametrize(
    ("leaf", "good", "bad"), VALUES, ids=lambda of: getattr(of, "datatype", "")
)
def test_values_fit_or_are_refused_with_one_sentence(leaf, good, bad):
    limits = limits_of(leaf)

    assert [check(limits, value) for value in good] == good
    for value in bad:
        with pytest.raises(BadInput, match=r"^S") as error:
            check(limits, value)
        assert len(str(error.value)) < 400
