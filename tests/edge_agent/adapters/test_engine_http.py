"""The engine's socket: answers of every form, engines that lie, stall or break off, streams cut anywhere."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.engine_containers import cgroup_of, found_of
from edge_agent.adapters.engine_http import ANSWER_MAX_BYTES, Answer, EngineClient
from edge_agent.adapters.engine_logs import Frames, Reached, stamped
from edge_agent.services.runtime import Exit
from fairway.errors import Unavailable
from tests.edge_agent.adapters.probed import bytes_server


@contextlib.asynccontextmanager
async def engine(tmp_path: Path, *answer: bytes) -> AsyncIterator[EngineClient]:
    """Give a client of an engine that answers every request so, piece by piece."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in answer:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with bytes_server(tmp_path / "s", say):
        yield EngineClient(tmp_path / "s")


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", b'{"a":1}'],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
            b'{"a"\r\n3\r\n:1}\r\n0\r\n\r\n',
        ],
        [b"HTTP/1.0 200 OK\r\n\r\n", b'{"a"', b":1}"],
    ],
)
async def test_an_answer_is_read_whatever_its_length_is_told_by(
    tmp_path: Path, answer: list[bytes]
):
    async with engine(tmp_path, *answer) as client:
        said = await client.ask("GET", "/x")

    assert (said.status, said.document, said.is_good) == (200, {"a": 1}, True)


async def test_an_answer_without_a_body_ends_with_its_head(tmp_path: Path):
    async with engine(tmp_path, b"HTTP/1.1 304 Not Modified\r\n\r\n") as client:
        said = await client.ask("POST", "/x")

    assert (said.is_good, said.document) == (True, None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"x" * 200_000,
    ],
)
async def test_what_is_no_answer_is_unavailable(tmp_path: Path, answer: bytes):
    async with engine(tmp_path, answer) as client:
        with pytest.raises(Unavailable):
            await client.ask("GET", "/x")


async def test_an_answer_without_end_is_given_up(tmp_path: Path):
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    pieces = [b"x" * 1_048_576] * (ANSWER_MAX_BYTES // 1_048_576 + 1)
    async with engine(tmp_path, head, *pieces) as client:
        with pytest.raises(Unavailable, match="without end"):
            await client.ask("GET", "/x")


async def test_an_engine_that_says_nothing_costs_its_time_and_no_more(tmp_path: Path):
    async with bytes_server(tmp_path / "s", lambda reader, writer: asyncio.sleep(1000)):
        with pytest.raises(Unavailable, match="did not answer /x in time"):
            await EngineClient(tmp_path / "s").ask("GET", "/x", timeout_s=0.1)


async def test_whoever_gives_up_while_a_connection_closes_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    closing = asyncio.Event()

    async def wait_closed(_writer: asyncio.StreamWriter) -> None:
        closing.set()
        await asyncio.sleep(60)

    async with engine(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as client:
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.StreamWriter, "wait_closed", wait_closed)
            asking = asyncio.create_task(client.ask("GET", "/info"))
            await closing.wait()
            asking.cancel()
            await asyncio.wait([asking], timeout=20)

        assert asking.cancelled()


async def test_a_refused_stream_says_why(tmp_path: Path):
    body = b'{"message": "no such\\ncontainer"}'
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with engine(tmp_path, head, body) as client:
        with pytest.raises(Unavailable, match="no such container"):
            async with client.stream("GET", "/x"):
                raise AssertionError("it was refused")


@given(st.binary(max_size=300))
def test_what_an_engine_refuses_with_is_one_line(body: bytes):
    reason = Answer(500, body).reason

    assert reason
    assert "\n" not in reason


frames = st.lists(st.tuples(st.booleans(), st.binary(max_size=50)), max_size=8)


@given(frames, st.lists(st.integers(1, 20), max_size=20))
def test_frames_are_the_same_however_they_come(said: list[tuple[bool, bytes]], cuts: list[int]):
    whole = b"".join(
        struct.pack("!BxxxI", 2 if is_error else 1, len(data)) + data for is_error, data in said
    )
    reader, found = Frames(), []
    for cut in [*cuts, len(whole)]:
        found += list(reader.feed(whole[:cut]))
        whole = whole[cut:]

    assert found == said


@given(st.binary(max_size=200))
def test_what_are_no_frames_is_unavailable_or_nothing(data: bytes):
    with contextlib.suppress(Unavailable):
        list(Frames().feed(data))


@pytest.mark.parametrize(
    ("line", "stamp"),
    [
        (b"2026-11-29T18:57:03Z x", "2026-11-29T18:57:03.000000000"),
        (b"2026-11-29T18:57:03.5+01:00 x", "2026-11-29T18:57:03.500000000"),
        (b"2026-11-29T18:57:03.123456789Z x", "2026-11-29T18:57:03.123456789"),
    ],
)
def test_a_stamp_is_taken_off_in_a_form_that_sorts(line: bytes, stamp: str):
    assert stamped(line) == (stamp, b"x")


@pytest.mark.parametrize("line", [b"", b"hello world", b"2026 is a year", b"2026-11-29T18:57:03Z"])
def test_a_line_without_a_stamp_is_left_as_it_is(line: bytes):
    assert stamped(line) == ("", line)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(0, 12))
def test_the_next_agent_takes_exactly_what_the_last_one_did_not(stamps: list[str], taken: int):
    stamps = sorted(stamps)
    first = Reached()
    for stamp in stamps[:taken]:
        assert first.is_new(stamp)

    second = Reached(first.stamp, first.lines)
    assert [second.is_new(stamp) for stamp in stamps] == [
        number >= taken for number in range(len(stamps))
    ]


def state(**said: object) -> dict[str, object]:
    return {
        "Id": "c1",
        "State": {"Status": "exited", "StartedAt": "1970-01-01T00:00:01.5Z", **said},
    }


@pytest.mark.parametrize(
    ("said", "kills", "exit_"),
    [
        ({"ExitCode": 0}, 0, Exit(0)),
        ({"ExitCode": 3}, 0, Exit(3)),
        ({"ExitCode": 255}, 0, Exit(255)),
        ({"ExitCode": 137}, 0, Exit(None, 9)),
        ({"ExitCode": 137}, 1, Exit(None, 9, was_out_of_memory=True)),
        ({"ExitCode": 137, "OOMKilled": True}, 0, Exit(None, 9, was_out_of_memory=True)),
        ({"ExitCode": 3}, 1, Exit(3)),
        ({"ExitCode": 143}, 0, Exit(None, 15)),
        ({"Status": "created"}, 0, Exit(None)),
        ({"Status": "running", "Pid": 7}, 0, None),
    ],
)
def test_how_a_container_ended_is_told(said: dict[str, object], kills: int, exit_: Exit | None):
    found = found_of(state(**said), memory_kills=kills)

    assert found.exit == exit_
    assert found.started_ns == 1_500_000_000
    assert found.pid == (7 if exit_ is None else 0)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["Status", "Pid", "ExitCode", "OOMKilled", "StartedAt"]),
        json_like,
        max_size=5,
    )
)
def test_whatever_an_engine_says_of_a_container_is_read(said: dict[str, object]):
    found = found_of(json.loads(json.dumps({"Id": "c", "State": said})))

    assert found.container == "c"


def test_the_group_of_a_process_that_is_gone_is_nowhere():
    assert cgroup_of(2**22 + 1) == "/nowhere"
    assert cgroup_of(1).startswith("/")
