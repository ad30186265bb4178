"""Applies one difference in a process of its own, and says what it took.

    python -m ota.delta.measure FORM FETCHED OUTPUT SHA256 LENGTH [BASE]   ->   {"memory_bytes", "cpu_s"}

Rule 1: memory is what this process had at most beyond what it had before: a fresh process for each.
Rule 2: the result is compared with the image by `applied`: a difference that does not give it is an error.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fairway import command_line
from fairway.errors import BadInput, Tampered
from ota.delta.apply import NEEDS_BASE, Work, applied, memory_of
from ota.manifest import Form

# A large image on a busy machine; what takes longer is of no use in a vehicle.
APPLY_MAX_S = 1800
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Measured:
    """What applying took."""

    memory_bytes: int
    cpu_s: float


def measured(work: Work, output: Path) -> Measured:
    """Apply in a process of its own, compare the result, and leave it at `output`.

    Raises Tampered when something else comes out, BadInput when it cannot be applied.
    """
    words = [work.form, work.fetched, output, work.sha256, work.length]
    words += [work.base] if work.base is not None else []
    command = [sys.executable, "-m", __name__, *(str(word) for word in words)]
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, capture_output=True, text=True, timeout=APPLY_MAX_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"{work.form} takes more than {APPLY_MAX_S} s to apply") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise Tampered(f"{work.form} does not give the image: {said[-1]}")
    found = json.loads(done.stdout)
    return Measured(int(found["memory_bytes"]), float(found["cpu_s"]))


def main(argv: list[str]) -> int:
    """Apply what the arguments say and print what it took."""
    work = Work(
        form=Form(argv[0]),
        fetched=Path(argv[1]),
        sha256=argv[3],
        length=int(argv[4]),
        base=Path(argv[5]) if len(argv) > 5 else None,
    )
    if work.form in NEEDS_BASE:
        memory_of(work.form, work.fetched, work.base)  # loads the libraries: they are not counted
    before, started = _resident(b"VmRSS"), time.process_time()
    applied(work, Path(argv[2]))
    took = time.process_time() - started
    print(json.dumps({"memory_bytes": max(0, _resident(b"VmHWM") - before), "cpu_s": took}))  # noqa: T201
    return 0


def _resident(name: bytes) -> int:
    for line in _STATUS.read_bytes().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    program = argparse.ArgumentParser("ota.delta.measure")
    program.set_defaults(run=lambda _args: main(arguments))
    sys.exit(command_line.run(program, []))
