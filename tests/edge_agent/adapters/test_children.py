"""Programs that are run for their result."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from edge_agent.adapters import children
from edge_agent.adapters.children import Done
from fairway.errors import Unavailable
from tests.waiting import until


async def python(code: str, *, timeout_s: float = 60, output_max_bytes: int = 1000) -> Done:
    argv = [sys.executable, "-S", "-c", code]
    return await children.run(argv, timeout_s=timeout_s, output_max_bytes=output_max_bytes)


async def test_what_a_program_prints_on_either_stream_is_returned_with_its_code():
    done = await python("import os; os.write(1, b'out'); os.write(2, b'err'); os._exit(3)")

    assert done == Done(3, b"outerr")


async def test_a_signal_is_a_negative_code():
    assert (await python("import os; os.kill(os.getpid(), 9)")).code == -9


async def test_a_program_that_prints_without_end_is_cut_and_not_held_up():
    done = await python("import os\nfor _ in range(100): os.write(1, bytes(65536))")

    assert done == Done(0, bytes(1000))


async def test_a_program_that_takes_too_long_is_ended(tmp_path: Path):
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"

    with pytest.raises(Unavailable, match=r"did not end within 1\.5 s"):
        await python(code, timeout_s=1.5)

    assert not Path(f"/proc/{pid.read_text()}").exists()  # waited for, too


async def test_a_program_whose_caller_is_gone_is_ended(tmp_path: Path):
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    task = asyncio.create_task(python(code))
    number = await until(lambda: pid.exists() and pid.read_text())

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not Path(f"/proc/{number}").exists()


async def test_a_program_is_over_when_it_ends_whoever_else_holds_its_output():
    code = "import os, time\nif os.fork() == 0: time.sleep(30)\nelse: os.write(1, b'x')"

    async with asyncio.timeout(25):
        done = await python(code)

    assert done == Done(0, b"x")


async def test_it_inherits_the_files_that_it_is_given_and_no_others(tmp_path: Path):
    with (tmp_path / "out").open("w+") as out, (tmp_path / "kept").open("w") as kept:
        code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
        done = await children.run(
            [sys.executable, "-S", "-c", code],
            timeout_s=60,
            out=out.fileno(),
            err=out.fileno(),
            keep=[kept.fileno()],
        )

        assert done == Done(0)
        files = set(eval((tmp_path / "out").read_text()))
        assert {0, 1, 2, kept.fileno()} <= files
        assert len(files) <= 5  # and the folder that it lists


async def test_what_is_no_program_is_unavailable():
    with pytest.raises(Unavailable, match="/nowhere/at/all cannot be run"):
        await children.run(["/nowhere/at/all"], timeout_s=1)


async def test_nothing_stays_open():
    await python("")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208

    for _ in range(3):
        await python("print(1)")

    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
