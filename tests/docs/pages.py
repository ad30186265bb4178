"""Pages of docs/ as programs: what stands in ```sh is run, in order, in one shell; ```text is what it prints.

    ```sh            run, from the checkout; a block that fails fails the test
    ```sh no-run     shown only: it needs hardware or an account; each page's tests say how many there are
    ```text          the whole output of the block before

Rule 1: the loopback ports that pages name are replaced by free ones, and nothing else is.
Rule 2: in ```text `...` stands for anything, and a number for any number: words are held to, figures are those
        of the day the page was written.
Rule 3: whatever a page leaves running is ended with its shell's process group.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROGRAMS = Path(sys.executable).parent

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b|(?<=^listener )\d{4,5}\b", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d.,:]*\d|\d")
_MARK = "@@ block"
# Pages wait for programs most of the time; one alone takes 5 to 20 s, and starts whole programs beside others.
PAGE_MAX_S = 240.0


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else its first line says, and its content."""

    language: str
    note: str
    content: str


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page below docs/, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = []
    for head, content in _FENCE.findall(text):
        language, _, note = head.strip().partition(" ")
        found.append(Block(language, note, content))
    return found


def shown_only(page: str) -> int:
    """Return how many shell blocks of a page are not run."""
    return sum(block.language == "sh" and block.note == "no-run" for block in blocks(page))


class Run:
    """A page being run; `places` replaces what else it can only give an example of: addresses of servers."""

    def __init__(self, page: str, folder: Path, places: Mapping[str, str] | None = None) -> None:
        self._page = page
        self._blocks: list[str] = []
        self._expected: dict[int, str] = {}
        ports: dict[str, str] = {}
        for block in blocks(page):
            content = _placed(block.content, ports, places or {})
            if block.language == "sh" and block.note != "no-run":
                self._blocks.append(content)
            elif block.language == "text" and self._blocks:
                self._expected[len(self._blocks) - 1] = content
        assert self._blocks, f"{page} has nothing to run"
        self._folder, self._output = folder, folder / "printed"
        self._shell: subprocess.Popen[bytes] | None = None

    def printed(self) -> list[str]:
        """Run it to its end, hold it to the output it shows, and return what each block printed."""
        self._shell = _started(self._blocks, self._folder, self._output)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the block it hangs in has failed
            self._shell.wait(PAGE_MAX_S)
        self.close()
        printed = self._output.read_text(errors="replace").split(f"{_MARK}\n")[1:]
        assert len(printed) == len(self._blocks) + 1, (
            f"{self._page}: this block failed, or hung:\n{self._blocks[len(printed) - 1]}\n"
            f"it said:\n{printed[-1]}"
        )
        for number, text in self._expected.items():
            told = re.compile(_pattern(text), re.DOTALL)
            assert told.fullmatch(printed[number].strip() + "\n"), (
                f"{self._page} says that this is printed:\n{text}\nprinted was:\n{printed[number]}"
            )
        return printed[:-1]

    def close(self) -> None:
        """End whatever still runs."""
        if self._shell is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()


def _placed(text: str, ports: dict[str, str], places: Mapping[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    known = set(places.values())

    def free(found: re.Match[str]) -> str:
        if any(found.group() in place for place in known):
            return found.group()
        return ports.setdefault(found.group(), str(free_port()))

    return _PORT.sub(free, text)


def _started(runnable: list[str], folder: Path, output: Path) -> "subprocess.Popen[bytes]":
    script = "set -eu\nexec 2>&1\n" + "".join(
        f"echo '{_MARK}'\n{content}\n" for content in runnable
    )
    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}",
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
    with output.open("wb") as file:
        return subprocess.Popen(
            ["bash", "-c", f"{script}echo '{_MARK}'\n"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            start_new_session=True,
        )


def _pattern(text: str) -> str:
    parts = []
    for line in text.strip().splitlines():
        if line.strip() == "...":
            parts.append("(?:.*\n)?")
            continue
        pieces = [_NUMBER.sub("@", piece) for piece in line.split("...")]
        joined = "[^\n]*".join(re.escape(piece) for piece in pieces)
        parts.append(joined.replace("@", r"\d[\d.,:]*") + "\n")
    return "".join(parts)
