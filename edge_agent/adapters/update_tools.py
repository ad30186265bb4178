"""Programs of the system that updates ask: bounded in time, their errors in one sentence."""

import asyncio
import contextlib
import shlex
from collections.abc import Sequence

from fairway.errors import Unavailable

TIMEOUT_S = 30.0
_SAID_MAX_CHARS = 300


async def said_by(argv: Sequence[str], given: bytes = b"", *, timeout_s: float = TIMEOUT_S) -> str:
    """Return what a program prints.  Raises Unavailable when it is not there, fails, or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(given)
    except TimeoutError as error:
        raise Unavailable(f"{argv[0]} takes longer than {timeout_s:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        why = err.decode(errors="replace").strip()[-_SAID_MAX_CHARS:]
        said = f": {why}" if why else ""
        raise Unavailable(f"{shlex.join(argv)} fails ({process.returncode}){said}")
    return out.decode(errors="replace")
