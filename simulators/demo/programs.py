"""Our own programs as children: started, watched, ended with us."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from fairway.errors import Unavailable

# A program that is asked to stop flushes and goes; one that takes longer than this hangs.
STOP_S = 10.0

_BIN = Path(sys.executable).parent


class Program:
    """One child; what it says goes to a file."""

    def __init__(self, name: str, arguments: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self._arguments = [str(argument) for argument in arguments]
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches it only through us."""
        with self._log.open("ab") as out:
            self._child = await asyncio.create_subprocess_exec(
                str(_BIN / self._arguments[0]),
                *self._arguments[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise Unavailable when it has ended by itself."""
        if self._child is not None and self._child.returncode is not None:
            raise Unavailable(
                f"{self.name} ended with {self._child.returncode}; it said: {self._last_words()}"
            )

    async def stop(self) -> None:
        """Ask it to stop, and see that it is gone."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


async def run_once(*arguments: str | Path) -> str:
    """Run one of our commands to its end and return what it printed.  Raises Unavailable."""
    child = await asyncio.create_subprocess_exec(
        str(_BIN / str(arguments[0])),
        *map(str, arguments[1:]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await child.communicate()
    if child.returncode:
        raise Unavailable(f"{' '.join(map(str, arguments))}: {errors.decode().strip()}")
    return out.decode()
