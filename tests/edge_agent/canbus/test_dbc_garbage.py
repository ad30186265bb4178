"""Whatever the bytes, reading ends: with a database and its problems, or with BadInput."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.canbus import database, dbc_grammar
from edge_agent.canbus.model import Database
from fairway.errors import BadInput
from tests.shared_data import SHARED, shared

SAMPLES = [
    "cantools/multiplex_2.dbc",
    "cantools/floating_point.dbc",
    "cantools/long_names.dbc",
    "cantools/abs.dbc",
    "opendbc/vw_pq.dbc",
    "css-electronics/tp_uds.dbc",
]

WORDS = st.sampled_from(
    [
        *sorted(dbc_grammar.KEYWORDS),
        "BO_ 1 M: 8 X\n", ' SG_ S : 0|8@1+ (1,0) [0|1] "" X\n', " SG_ S m1 : 0|8@1+\n", " SG_ T M : 8|8@0-\n",
        'VAL_ 1 S 0 "a" ;\n', 'CM_ SG_ 1 S "a";\n', "SG_MUL_VAL_ 1 S T 1-1;\n", "SIG_VALTYPE_ 1 S : 1;\n",
        'BA_ "GenSigStartValue" SG_ 1 S 9;\n', "\n", " ", '"', '\\"', ";", ":", ",", "|", "@", "(", "[", "-",
        "0", "1", "4294967295", "99999999999999999999", "1e999", "nan", "0x10", "m1", "M", "S", "//", "\0", "é",
    ]
)  # fmt: skip


def read(content: bytes) -> Database | None:
    try:
        loaded = database.loads(content, name="bus", suffix=".dbc")
    except BadInput:
        return None
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert all(0 <= problem.line <= lines for problem in loaded.problems)
    assert all(problem.severity in {"error", "warning"} for problem in loaded.problems)
    assert all("\n" not in problem.text and len(problem.text) < 1000 for problem in loaded.problems)
    for message in loaded.messages:
        for position, signal in enumerate(message.signals):
            assert signal.length > 0
            assert signal.multiplex is None or 0 <= signal.multiplex.parent < len(message.signals)
            assert signal.multiplex is None or signal.multiplex.parent != position
    return loaded


@given(st.binary(max_size=300))
def test_random_bytes(content: bytes):
    read(content)


@given(st.text(max_size=200))
def test_random_text_after_a_message(text: str):
    loaded = read(b"BO_ 1 M: 8 X\n" + text.encode(errors="replace"))

    assert loaded is not None
    assert loaded.messages[0].name == "M"


@given(st.lists(WORDS, max_size=60))
def test_words_of_the_language_in_any_order(words: list[str]):
    read(" ".join(words).encode())
    read("".join(words).encode())


@pytest.mark.parametrize("file", SAMPLES)
@settings(max_examples=25)
@given(st.data())
def test_a_file_cut_short(file: str, data: st.DataObject):
    content = shared(f"can/dbc/{file}").read_bytes()
    end = data.draw(st.integers(0, len(content)))

    read(content[:end])


@pytest.mark.parametrize("file", SAMPLES)
@settings(max_examples=25)
@given(st.data())
def test_a_file_with_some_bytes_changed(file: str, data: st.DataObject):
    content = bytearray(shared(f"can/dbc/{file}").read_bytes())
    places = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8))
    for place in places:
        content[place] = data.draw(st.sampled_from(b'"\\;:|@ \n09mM-\x00\xff'))

    read(bytes(content))


@pytest.mark.parametrize(
    "piece",
    [
        'CM_ "', 'CM_ "\nCM_ ', 'VAL_ 1 S 0 "" ', 'VAL_ 1 S 0 "\n', 'BA_DEF_ "x" ENUM "', "EV_\n", "NS_:\n",
        " SG_ ", 'SG_ a : 0|8@1+ (1,0) [0|1] "', " ", "\n", "//", '"', '\\"', "x\n", "SG_MUL_VAL_ 1 S T 1-1,",
        "a", "BO_ 1 M: 8 X\n", "SG_ a m0 : 0|8@1+\n", "SG_ b M : 0|8@1+\nSG_ a m1 : 0|8@1+\n",
        "CM_ BO_ 1 ",
        'BO_ 1 M: 8 X\nCM_ BO_ 1 "";\nSG_ S : 0|8@1+\nCM_ SG_ 1 S "";\n', "SG_MUL_VAL_ 1 S T 1-1;\n",
        "BO_TX_BU_ 1 : A,B,C;\n", 'VAL_ 1 S 0 "" ;\n',
    ],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_no_text_takes_longer_than_its_size_allows(piece: str):
    head = "BO_ 1 M: 8 X\nSG_ T M : 0|8@1+\nSG_ S m1 : 8|8@1+\n"

    # 200 kB take a tenth of a second; were any reading quadratic, minutes.
    assert read((head + piece * (200_000 // len(piece))).encode()) is not None


def test_too_many_statements_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edge_agent.canbus.dbc_statements.STATEMENTS_MAX", 10)

    with pytest.raises(BadInput, match="more than 10 statements"):
        database.loads(b"BO_ 1 M: 8 X\n" * 12, name="bus", suffix=".dbc")


def test_the_list_of_problems_ends():
    loaded = read(b"BO_ 1 M: 8 X\n" + b"nonsense\n BO_ 2 N: 8 X\n" * 3000)

    assert loaded is not None
    assert len(loaded.problems) < 2100
    assert any("2000 further problems are not listed" in one.text for one in loaded.problems)


def test_the_samples_are_here():
    shared("can/dbc")

    assert all(Path(SHARED / "can" / "dbc" / file).exists() for file in SAMPLES)
