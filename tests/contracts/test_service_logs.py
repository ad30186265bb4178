"""What everything that keeps the logs of services promises."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.ports import Logs
from fairway.clock import ManualClock
from tests.waiting import until

ID = "tyres.0123456789ab"


class Book:
    """A log, and a way to print into it."""

    def __init__(self, logs: Logs, say: Callable[[str, str], None]) -> None:
        self.logs, self.say = logs, say


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    logs = LogBook(tmp_path, ManualClock(1_769_860_800_123_000_000))
    out, err = logs.open(ID)

    def say(stream: str, text: str) -> None:
        os.write(out if stream == "stdout" else err, text.encode())

    yield Book(logs, say)
    os.close(out)
    os.close(err)
    logs.keep_only(())


async def test_a_line_is_kept_with_its_time_and_its_stream(book: Book):
    book.say("stdout", "hello\n")

    await until(lambda: book.logs.lines(ID, 10))
    assert book.logs.lines(ID, 10) == ["2026-01-31T12:00:00.123Z stdout hello"]


async def test_both_streams_are_told_apart(book: Book):
    book.say("stderr", "oh\n")
    book.say("stdout", "ah\n")

    await until(lambda: len(book.logs.lines(ID, 10)) == 2)
    assert sorted(line.split(" ", 1)[1] for line in book.logs.lines(ID, 10)) == [
        "stderr oh",
        "stdout ah",
    ]


async def test_the_newest_lines_are_told_and_the_oldest_of_them_first(book: Book):
    book.say("stdout", "".join(f"{number}\n" for number in range(100)))

    await until(lambda: len(book.logs.lines(ID, 1000)) == 100)
    assert [line.rpartition(" ")[2] for line in book.logs.lines(ID, 3)] == ["97", "98", "99"]
    assert book.logs.lines(ID, 0) == []


@pytest.mark.parametrize("id_", ["other.0123456789ab", "", "..", "a/b", "../x"])
async def test_what_is_unknown_has_said_nothing(book: Book, id_: str):
    assert book.logs.lines(id_, 10) == []


async def test_lines_go_with_their_service_and_those_of_others_stay(book: Book):
    book.say("stdout", "hello\n")
    await until(lambda: book.logs.lines(ID, 10))

    book.logs.keep_only({"tyres"})
    kept = book.logs.lines(ID, 10)
    book.logs.keep_only({"tyres-2", "other"})

    assert len(kept) == 1
    assert book.logs.lines(ID, 10) == []
