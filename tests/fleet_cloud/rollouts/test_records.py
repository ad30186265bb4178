"""Exports of records: what holds, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput, Tampered
from fairway.identity import Scope
from fairway.signers import file
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.records import (
    Fact,
    Place,
    chained,
    end_line,
    record_line,
    seal_line,
    sealed,
    verify_export,
)

SIGNER = file.fresh()
KEYS = {key_name(SIGNER.public_key()): SIGNER.public_key()}
SCOPE = Scope("eu", "acme")


def export(series: str = "0" * 16, seals: int = 3) -> list[bytes]:
    """Three vehicles, each with a record in each seal."""
    lines, last, places, count = [], Place(), dict[str, Place](), 0
    for number in range(seals):
        facts = [Fact(f"V{at}", "offered", {"n": number, "é": "\n"}) for at in range(3)]
        records = chained(SCOPE, series, facts, places, number)
        seal = sealed(SCOPE, series, records, last, number, SIGNER)
        places = {one.subject: Place(one.number, one.hash) for one in records}
        last = Place(seal.number, seal.hash)
        lines += [seal_line(seal), *(record_line(one) for one in records)]
        count += len(records)
    return [*lines, end_line(SCOPE, series, last, count, 9, SIGNER)]


def test_several_rollouts_are_proved_one_after_the_other():
    proofs = list(verify_export(export() + export("1" * 16, 1) + export("2" * 16, 0), KEYS))

    assert [(one.records, one.subjects, one.seals) for one in proofs] == [
        (9, 3, 3),
        (3, 3, 1),
        (0, 0, 0),
    ]


@given(st.integers(0, 12), st.data())
def test_whatever_is_taken_out_or_put_elsewhere_is_missed(at: int, data: st.DataObject):
    lines = export()
    taken = lines.pop(at % len(lines))
    if data.draw(st.booleans()):
        to = data.draw(st.integers(0, len(lines)).filter(lambda to: to != at % (len(lines) + 1)))
        lines.insert(to, taken)

    with pytest.raises(Tampered):
        list(verify_export(lines, KEYS))


@given(st.integers(0, 12), st.integers(0, 10**6), st.integers(1, 127))
def test_whatever_byte_is_changed_is_missed(at: int, where: int, change: int):
    lines = export()
    line = bytearray(lines[at % len(lines)])
    line[where % (len(line) - 1)] ^= change
    lines[at % len(lines)] = bytes(line)

    with pytest.raises((Tampered, BadInput)):
        list(verify_export(lines, KEYS))


def test_another_key_proves_nothing():
    other = file.fresh().public_key()

    with pytest.raises(Tampered, match="none of those given"):
        list(verify_export(export(), {key_name(other): other}))


@pytest.mark.parametrize(
    "lines", [[], [b"x"], [b"{}"], [b'{"is":"record"}'], [b"[]"], [b'{"is":[]}']]
)
def test_what_is_no_export_is_said(lines: list[bytes]):
    with pytest.raises(BadInput):
        list(verify_export(lines, KEYS))
