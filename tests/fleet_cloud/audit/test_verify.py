"""An export of the audit log, and everything that can be done to it."""

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import ManualClock
from fairway.errors import BadInput, FairwayError, Tampered
from fairway.signers import file
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.audit.acts import Act
from fleet_cloud.audit.chain import read_line, written
from fleet_cloud.audit.verify import Keys, public_keys, verify_export

SIGNER = file.fresh()


def keys(signer: file.FileSigner = SIGNER) -> Keys:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public_keys([signer.public_key().public_bytes(serialization.Encoding.PEM, form)])


def export() -> list[bytes]:
    log = MemoryAudit("eu", SIGNER, ManualClock(1_700_000_000_000_000_000))
    for number in range(5):
        act = Act(
            "vehicle.add", "user:änn", f"vehicle:VIN{number}", "acme", details={"why": "日本"}
        )
        log.write(act)
    lines = [written(entry) for entry in log.chain("acme")]
    return [*lines, *(written(head) for head in log.heads())]


LINES = export()
WHOLE = b"".join(LINES)


def lengths(lines: list[bytes]) -> list[int]:
    return [head.number for head in verify_export(lines, keys())]


def test_an_export_proves_itself():
    assert lengths(LINES) == [5]
    assert [written(read_line(line)) for line in LINES] == LINES


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_found(at: int, bit: int):
    changed = bytearray(WHOLE)
    changed[at] ^= 1 << bit

    with pytest.raises((Tampered, BadInput)):
        lengths(bytes(changed).splitlines(keepends=True))


@pytest.mark.parametrize("dropped", range(len(LINES)))
def test_any_dropped_line_is_found(dropped: int):
    with pytest.raises(Tampered):
        lengths(LINES[:dropped] + LINES[dropped + 1 :])


@pytest.mark.parametrize("first", range(len(LINES) - 1))
def test_any_two_lines_in_another_order_are_found(first: int):
    lines = [*LINES]
    lines[first], lines[first + 1] = lines[first + 1], lines[first]

    with pytest.raises(Tampered):
        lengths(lines)


def test_a_line_that_stands_twice_is_found():
    with pytest.raises(Tampered, match="some are missing, or out of order"):
        lengths([*LINES[:2], LINES[1], *LINES[2:]])


def test_an_export_is_held_against_the_keys_that_one_trusts():
    with pytest.raises(Tampered, match="none of those given"):
        list(verify_export(LINES, keys(file.fresh())))


def test_nothing_is_no_export():
    with pytest.raises(BadInput, match="nothing in this export"):
        lengths([])
    with pytest.raises(BadInput, match="no public key"):
        public_keys([b"-----BEGIN PUBLIC KEY-----"])


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_garbage_is_refused_in_one_sentence(line: bytes):
    with pytest.raises(FairwayError) as refused:
        read_line(line)
    assert "\n" not in str(refused.value)
