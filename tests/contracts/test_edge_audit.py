"""What may be counted on of the vehicle's audit, in files and in memory."""

import errno
import os

import pytest

from edge_agent.adapters.disk import RealDisk
from edge_agent.adapters.edge_audit import EdgeAudit, MemoryAudit, read
from edge_agent.services.audit import Act, Head, checked
from fairway.clock import ManualClock
from fairway.errors import Tampered, Unavailable

DENIED = Act("signal.read", "service:nosy", "Vehicle.Speed", "denied", 3, {"why": "it may not"})


@pytest.fixture(params=["files", "memory"])
def audit(request, tmp_path):
    clock = ManualClock()
    if request.param == "memory":
        made = MemoryAudit(clock)
        return made, lambda: [content for content, _ in checked(made.lines)]
    path = tmp_path / "audit.jsonl"
    return EdgeAudit(path, clock), lambda: list(read(path))


def test_acts_are_kept_in_order(audit):
    kept, lines = audit

    kept.write([DENIED, Act("service.started", "agent", "battery 3.0")])
    head = kept.write([DENIED])

    assert [line["action"] for line in lines()] == ["signal.read", "service.started", "signal.read"]
    assert lines()[0]["count"] == 3
    assert lines()[0]["details"] == {"why": "it may not"}
    assert head.number == 3


def test_nothing_to_write_is_fine(audit):
    kept, lines = audit

    assert kept.write([]) == Head()
    assert lines() == []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "audit.jsonl"


def test_only_its_owner_reads_the_files(path):
    EdgeAudit(path, ManualClock()).write([DENIED])

    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(path.parent.stat().st_mode)[-3:] == "700"


def test_the_next_agent_goes_on_with_the_chain(path):
    EdgeAudit(path, ManualClock()).write([DENIED])
    head = EdgeAudit(path, ManualClock()).write([DENIED])

    assert [line["number"] for line in read(path, [head])] == [1, 2]


def test_what_a_power_cut_tore_is_cut_off_and_the_next_line_says_so(path):
    EdgeAudit(path, ManualClock()).write([DENIED, DENIED])
    whole = path.read_bytes()
    end = whole.index(b"\n")
    for length in {*range(0, len(whole), 37), end, end + 1, end + 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        EdgeAudit(path, ManualClock()).close()

        lines = list(read(path))
        torn = length - (whole[:length].rfind(b"\n") + 1)
        assert [line["action"] for line in lines if line["actor"] == "agent"] == (
            ["audit.resumed"] if torn else []
        )
        assert len(lines) == whole[:length].count(b"\n") + bool(torn)


def test_old_files_go_and_what_is_left_is_one_chain(path):
    audit = EdgeAudit(path, ManualClock(), file_max_bytes=1000)
    heads = [audit.write([DENIED]) for _ in range(40)]

    numbers = [line["number"] for line in read(path, heads)]
    assert numbers == list(range(numbers[0], 41))
    assert 1 < numbers[0] < 36
    assert len(list(path.parent.iterdir())) == 4


def test_the_chain_goes_on_after_a_cut_right_after_the_turn_of_a_file(path):
    audit = EdgeAudit(path, ManualClock(), file_max_bytes=1000)
    while not path.with_name("audit.jsonl.1").exists():
        audit.write([DENIED])
    path.write_bytes(b"")

    head = EdgeAudit(path, ManualClock()).write([DENIED])

    numbers = [line["number"] for line in read(path, [head])]
    assert numbers == list(range(1, head.number + 1))


def test_a_line_that_was_changed_on_the_disk_is_found(path):
    EdgeAudit(path, ManualClock()).write([DENIED, DENIED])
    path.write_bytes(path.read_bytes().replace(b"Vehicle.Speed", b"Vehicle.Spied", 1))

    with pytest.raises(Tampered, match="line 1"):
        list(read(path))


class FullDisk(RealDisk):
    """A disk that takes so much, and half of what is too much."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def write(self, file, data, offset):
        super().write(file, data[: max(0, self.room_bytes - offset)], offset)
        if offset + len(data) > self.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_chain_whole_and_the_acts_come_later(path):
    disk = FullDisk(room_bytes=500)
    audit = EdgeAudit(path, ManualClock(), disk)
    audit.write([DENIED])
    with pytest.raises(Unavailable):
        audit.write([DENIED])
    disk.room_bytes = 10_000
    audit.write([DENIED, DENIED])

    assert [line["number"] for line in read(path)] == [1, 2, 3]


def test_a_link_in_its_place_is_not_followed(path):
    path.parent.mkdir()
    (path.parent / "elsewhere").write_text("")
    path.symlink_to("elsewhere")

    with pytest.raises(Unavailable):
        EdgeAudit(path, ManualClock())
