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

from tests.e2e.programs import free_port

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROGRAMS = Path(sys.executable).parent

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b|(?<=^listener )\d{4,5}\b", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d.,:]*\d|\d")
_MARK = "@@ block"
PAGE_MAX_S = 60


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


def run(page: str, folder: Path, places: Mapping[str, str] | None = None) -> list[str]:
    """Run a page, hold it to the output it shows, and return what each of its blocks printed.

    `places` replaces what else a page can only give an example of: the addresses of servers.
    """
    ports: dict[str, str] = {}
    runnable: list[str] = []
    expected: dict[int, str] = {}
    for block in blocks(page):
        content = _placed(block.content, ports, places or {})
        if block.language == "sh" and block.note != "no-run":
            runnable.append(content)
        elif block.language == "text" and runnable:
            expected[len(runnable) - 1] = content
    assert runnable, f"{page} has nothing to run"
    printed = _run(runnable, folder)
    assert len(printed) == len(runnable) + 1, (
        f"{page}: this block failed, or hung:\n{runnable[len(printed) - 1]}\nit said:\n{printed[-1]}"
    )
    for number, text in expected.items():
        told = re.compile(_pattern(text), re.DOTALL)
        assert told.fullmatch(printed[number].strip() + "\n"), (
            f"{page} says that this is printed:\n{text}\nprinted was:\n{printed[number]}"
        )
    return printed[:-1]


def _placed(text: str, ports: dict[str, str], places: Mapping[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    known = set(places.values())

    def free(found: re.Match[str]) -> str:
        if any(found.group() in place for place in known):
            return found.group()
        return ports.setdefault(found.group(), str(free_port()))

    return _PORT.sub(free, text)


def _run(runnable: list[str], folder: Path) -> list[str]:
    script = "set -eu\nexec 2>&1\n" + "".join(
        f"echo '{_MARK}'\n{content}\n" for content in runnable
    )
    script += f"echo '{_MARK}'\n"
    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}",
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
    with (folder / "printed").open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
        )
    try:
        with contextlib.suppress(
            subprocess.TimeoutExpired
        ):  # the block it hangs in is told as failed
            shell.wait(PAGE_MAX_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    return (folder / "printed").read_text(errors="replace").split(f"{_MARK}\n")[1:]


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
