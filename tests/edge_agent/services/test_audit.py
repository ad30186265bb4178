"""The vehicle's audit is a chain: what is changed, left out or put in is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.audit import TEXT_MAX_CHARS, Act, Head, checked, next_line, read_line
from fairway.errors import Tampered

texts = st.text(max_size=40)
acts = st.builds(
    Act,
    action=texts,
    actor=texts,
    object=texts,
    outcome=texts,
    count=st.integers(1, 10**9),
    details=st.dictionaries(texts, texts, max_size=4),
)


def chain(*written: Act, head: Head | None = None) -> list[bytes]:
    head, lines = head or Head(), []
    for number, act in enumerate(written):
        line, head = next_line(head, act, number)
        lines.append(line)
    return lines


ACTS = [Act("signal.read", "service:nosy", f"Vehicle.A{number}", "denied") for number in range(4)]


@given(st.lists(acts, max_size=5))
def test_what_was_written_is_read(written):
    lines = chain(*written)

    read = [content for content, _ in checked(lines)]

    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [(one["action"], one["object"], one["count"]) for one in read] == [
        (act.action, act.object, act.count) for act in written
    ]


@given(st.binary(max_size=60))
def test_garbage_is_no_line(garbage):
    with pytest.raises(Tampered):
        read_line(garbage)


@pytest.mark.parametrize("number", range(4))
def test_a_line_that_is_left_out_is_missed_but_for_the_oldest(number):
    lines = chain(*ACTS)
    del lines[number]

    if number in (0, 3):  # what is older was dropped; the end is missed by a head that was kept
        assert len(list(checked(lines))) == 3
        return
    with pytest.raises(Tampered, match="does not follow"):
        list(checked(lines))


def test_an_end_that_was_cut_off_is_missed_by_a_head_that_was_kept():
    lines = chain(*ACTS)
    head = read_line(lines[-1])[1]

    assert list(checked(lines, [head]))
    with pytest.raises(Tampered, match="ends before line 4"):
        list(checked(lines[:3], [head]))


def test_another_chain_is_found_by_a_head_that_was_kept():
    kept = read_line(chain(*ACTS)[2])[1]

    with pytest.raises(Tampered, match="not the one that was noted"):
        list(checked(chain(*ACTS[:2], ACTS[3], ACTS[3]), [kept]))


def test_a_head_older_than_all_that_is_left_says_nothing():
    lines = chain(*ACTS)

    assert len(list(checked(lines[2:], [read_line(lines[0])[1]]))) == 2


def test_lines_in_another_order_are_found():
    lines = chain(*ACTS)

    with pytest.raises(Tampered):
        list(checked([lines[0], lines[2], lines[1], lines[3]]))


@pytest.mark.parametrize("name", ["number", "time_ns", "object", "count", "previous", "details"])
def test_a_line_that_was_changed_is_found(name):
    line = chain(*ACTS)[1]
    content = json.loads(line)
    content[name] = {"x": "y"} if name == "details" else 7

    with pytest.raises(Tampered):
        read_line(json.dumps(content).encode())


def test_what_others_wrote_is_cut():
    (line,) = chain(Act("a" * 999, "b", "c", details={str(n): "x" * 999 for n in range(99)}))

    content, _ = read_line(line)

    assert len(content["action"]) == TEXT_MAX_CHARS
    assert len(line) < 8192
