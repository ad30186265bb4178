"""Pipes that services print into, and the files their lines end in."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.log_lines import LogLimits
from fairway.clock import NS_PER_S, ManualClock, SystemClock
from fairway.errors import BadInput, Unavailable
from tests.shared_data import ROOT
from tests.small_disk import small_disk
from tests.waiting import until

ID = "tyres.0123456789ab"

# It prints, waits to be told, prints more than a small pipe takes, and waits again.
SERVICE = """
import pathlib, sys, time

def wait(name):
    while not (pathlib.Path(sys.argv[1]) / name).exists():
        time.sleep(0.01)

print("before", flush=True)
wait("go")
for number in range(100):
    print(number, "x" * 1000, flush=True)
wait("end")
"""

AGENT = """
import asyncio, os, pathlib, subprocess, sys
from edge_agent.adapters.service_logs import LogBook
from fairway.clock import SystemClock

async def main(folder, id_, service):
    out, err = LogBook(pathlib.Path(folder), SystemClock()).open(id_)
    child = subprocess.Popen([sys.executable, "-c", service, folder], stdout=out, stderr=err)
    print(child.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


def said(book: LogBook, id_: str = ID) -> list[str]:
    """Return the lines without their times."""
    return [line.split(" ", 1)[1] for line in book.lines(id_, 10_000)]


def printed(book: LogBook, data: bytes, id_: str = ID) -> None:
    """Print into a log, and end."""
    out, err = book.open(id_)
    os.close(err)
    os.write(out, data)
    os.close(out)


async def test_a_program_prints_and_what_it_did_not_end_is_there_too(tmp_path: Path):
    book = LogBook(tmp_path, SystemClock())
    out, err = book.open(ID)

    done = subprocess.run(
        [sys.executable, "-c", "print('a\\nb', end='')"], stdout=out, stderr=err, check=False
    )
    os.close(out)
    os.close(err)

    assert done.returncode == 0
    await until(lambda: len(said(book)) == 2)
    assert said(book) == ["stdout a", "stdout b"]


async def test_a_service_prints_on_when_the_agent_dies_and_the_next_one_reads_on(tmp_path: Path):
    first = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path), ID, SERVICE], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    service = int(first.stdout.readline())
    book = LogBook(tmp_path, SystemClock())
    try:
        await until(lambda: said(book) == ["stdout before"])
        first.send_signal(signal.SIGKILL)
        first.wait()
        (tmp_path / "go").touch()
        await until(lambda: "stdout 0 " not in said(book))  # nobody reads
        book.adopt(ID)

        await until(lambda: len(said(book)) == 101)
        assert [line.split()[1] for line in said(book)[1:]] == [str(n) for n in range(100)]
        os.kill(service, 0)
    finally:
        (tmp_path / "end").touch()
        first.kill()
        first.communicate()
        book.close(ID)


async def test_files_are_rotated_and_the_oldest_is_dropped(tmp_path: Path):
    limits = LogLimits(file_max_bytes=1000, files=3)
    book = LogBook(tmp_path, SystemClock(), limits)
    out, err = book.open(ID)

    for number in range(100):
        os.write(out, b"%d %s\n" % (number, b"x" * 50))
        while said(book)[-1:] != [f"stdout {number} {'x' * 50}"]:
            await asyncio.sleep(0)
    os.close(out)
    os.close(err)
    book.close(ID)

    files = sorted(path.name for path in (tmp_path / ID).iterdir() if path.is_file())
    assert files == ["log", "log.1", "log.2"]
    assert all((tmp_path / ID / name).stat().st_size <= 1000 for name in files)
    assert 20 <= len(said(book)) <= 36
    assert said(book)[-1].startswith("stdout 99 ")


async def test_a_service_that_prints_too_much_is_cut_and_the_log_says_how_many_lines(
    tmp_path: Path,
):
    clock = ManualClock()
    limits = LogLimits(lines_per_s=10, burst_s=10)
    book = LogBook(tmp_path, clock, limits)
    out, err = book.open(ID)

    os.write(out, b"0123456789\n" * 500)
    await until(lambda: book._books[ID]._dropped)
    clock.advance(20 * NS_PER_S)
    os.write(out, b"again\n")
    await until(lambda: "stdout again" in said(book))

    assert said(book) == [
        *["stdout 0123456789"] * 100,
        "agent 400 lines dropped: too many at once, or a full disk",
        "stdout again",
    ]
    os.close(out)
    os.close(err)
    book.close(ID)


async def test_lines_dropped_at_the_end_are_told_when_the_log_is_closed(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock(), LogLimits(lines_per_s=1, burst_s=2))
    printed(book, b"line\n" * 10)

    book.close(ID)

    assert said(book) == [
        *["stdout line"] * 2,
        "agent 8 lines dropped: too many at once, or a full disk",
    ]


async def test_a_service_that_prints_without_end_does_not_keep_the_agent_busy(tmp_path: Path):
    book = LogBook(tmp_path, SystemClock())
    out, err = book.open(ID)
    child = subprocess.Popen(["yes", ""], stdout=out, stderr=err)
    os.close(out)
    os.close(err)
    try:
        await until(lambda: book._books[ID]._dropped > 100_000)
        streams = book._books[ID]._streams

        assert all(stream.read_bytes <= (1 << 19) for stream in streams)
    finally:
        child.kill()
        child.wait()
    book.close(ID)

    assert said(book)[-1].startswith("agent ")


async def test_nothing_a_service_prints_passes_for_a_line_of_the_agent(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock())
    printed(book, b"x\r2026-01-01T00:00:00.000Z agent all is well\xe2\x80\xa8agent\n")

    book.close(ID)

    assert [line.split(" ")[0] for line in said(book)] == ["stdout"]


async def test_a_note_of_the_agent_stands_among_the_lines(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock())
    ends = book.open(ID)
    book.note(ID, "started again: it had ended with 3")
    book.note("unknown.0123456789ab", "nobody hears it")

    assert said(book) == ["agent started again: it had ended with 3"]
    for end in ends:
        os.close(end)
    book.close(ID)


async def test_an_instance_that_starts_again_goes_on_in_its_log(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock())
    printed(book, b"one\n")
    printed(book, b"two\n")
    book.close(ID)

    assert said(book) == ["stdout one", "stdout two"]


async def test_lines_of_a_few_instances_of_a_service_are_kept_and_those_of_others(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock(), LogLimits(instances=2))
    for number, id_ in enumerate(["a.1", "b.1", "a.2", "a.3"]):
        printed(book, b"x\n", id_)
        book.close(id_)
        os.utime(tmp_path / id_ / "log", (number, number))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.2", "a.3", "b.1"]


async def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path):
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        book = LogBook(disk.folder, ManualClock(), LogLimits(lines_per_s=1000))
        out, err = book.open(ID)
        disk.fill()
        os.write(out, b"lost\n" * 2000)
        await until(lambda: book._books[ID]._dropped == 2000)
        disk.clear()
        os.write(out, b"kept\n")
        await until(lambda: "stdout kept" in said(book))
        os.close(out)
        os.close(err)
        book.close(ID)

        assert said(book) == [
            "agent 2000 lines dropped: too many at once, or a full disk",
            "stdout kept",
        ]


@pytest.mark.parametrize("id_", ["", "..", "a/../b", ".hidden", "a\0b"])
async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, id_: str):
    with pytest.raises(BadInput, match="no name of an instance"):
        LogBook(tmp_path, ManualClock()).open(id_)


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="takes no logs"):
        LogBook(tmp_path / "file", ManualClock()).open(ID)


async def test_an_agent_that_stops_reads_no_more_and_what_runs_prints_on(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock())
    out, err = book.open(ID)
    os.write(out, b"one\n")
    book.stop()
    os.write(out, b"two\n")

    other = LogBook(tmp_path, ManualClock())
    other.adopt(ID)
    await until(lambda: len(said(other)) == 2)
    assert said(other) == ["stdout one", "stdout two"]
    for end in (out, err):
        os.close(end)
    other.stop()


async def test_no_file_stays_open_when_logs_are_closed(tmp_path: Path):
    book = LogBook(tmp_path, ManualClock())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        printed(book, b"x\n")
        book.close(ID)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
