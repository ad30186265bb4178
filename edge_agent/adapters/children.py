"""Programs that are run for their result: started without a thread, waited for through their pidfd.

Rule 1: a program that takes too long, or whose caller is gone, is killed and waited for.
Rule 2: what it prints beyond the limit is read and dropped: nobody waits for a reader.
"""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from fairway.errors import Unavailable

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended: its exit code, or minus the number of a signal."""

    code: int
    output: bytes = b""


async def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    out: int | None = None,
    err: int | None = None,
    keep: Sequence[int] = (),
    output_max_bytes: int = 0,
) -> Done:
    """Run a program to its end; `out` and `err` are files it prints into, `keep` files that it inherits.

    Without `out`, up to `output_max_bytes` of what it prints is returned.  Raises Unavailable.
    """
    where = subprocess.PIPE if out is None else out
    also = subprocess.STDOUT if err is None else err
    try:
        child = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns when the program is there, in a millisecond
            argv,
            stdin=subprocess.DEVNULL,
            stdout=where,
            stderr=also,
            pass_fds=keep,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"{argv[0]} cannot be run: {error}") from error
    output = _Output(child.stdout, output_max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            await _ended(child.pid)
    except TimeoutError as error:
        raise Unavailable(f"{argv[0]} did not end within {timeout_s:g} s") from error
    finally:
        child.kill()  # one that has ended is not hit: its number is ours until it is waited for
        child.wait()
        output.close()
    return Done(child.returncode, bytes(output.data))


async def _ended(pid: int) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    file = os.pidfd_open(pid)
    try:
        loop.add_reader(file, done.set)
        await done.wait()
    finally:
        loop.remove_reader(file)
        os.close(file)


class _Output:
    """What a program prints."""

    def __init__(self, pipe: IO[bytes] | None, max_bytes: int) -> None:
        self.data = bytearray()
        self._pipe, self._max_bytes = pipe, max_bytes
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            asyncio.get_running_loop().add_reader(pipe.fileno(), self._read)

    def _read(self) -> bool:
        assert self._pipe is not None
        try:
            part = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return False
        if not part:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self.data += part[: self._max_bytes - len(self.data)]
        return bool(part)

    def close(self) -> None:
        """Read what is left, whoever else still holds the other end."""
        if self._pipe is None:
            return
        while len(self.data) < self._max_bytes and self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.close()
