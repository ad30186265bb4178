"""`edge-agent decode`: a log and its databases in, one row per signal value out.

    {"time":1533226488.228982000,"signal":"can0.STEER_ANGLE_SENSOR.STEER_ANGLE","value":-3.0}

Rule 1: rows go to standard output and nothing else does; what became of the log is said on standard error.
Rule 2: the time is the log's stamp in seconds, written out to the nanosecond: no float ever holds it.
"""

import argparse
import csv
import fnmatch
import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.adapters.log_formats import LogReader, open_log
from edge_agent.canbus import database
from edge_agent.canbus.decoder import Decoded, Refusals, make_decoder
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from edge_agent.cli.databases import databases_of
from fairway.errors import BadInput

Format = Callable[[str, float, str | None], str]  # what follows the time: of name, value, label
HEAD_OF_CSV = "time,signal,value,label\n"


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "decode",
        help="print the signal values of a log",
        description="Print every signal value of a log: candump, ASC, BLF, TRC or MF4; .xz and .gz too.",
    )
    command.add_argument(
        "--dbc",
        action="append",
        required=True,
        metavar="CHANNEL=FILE[,FILE]",
        help="the databases of one channel (repeat for more channels)",
    )
    command.add_argument("--log", type=Path, required=True, metavar="FILE", help="the log to read")
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line (the default)")
    shape.add_argument("--csv", action="store_true", help="comma-separated values with a heading")
    command.add_argument(
        "--signals",
        action="append",
        metavar="GLOB",
        help="only signals whose CHANNEL.MESSAGE.SIGNAL matches, such as '*.WHEEL_SPEED_*' (repeatable)",
    )
    command.add_argument("--limit", type=int, metavar="N", help="stop after N rows")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decode the log and print it."""
    if args.limit is not None and args.limit < 1:
        raise BadInput(f"--limit {args.limit} prints nothing; give 1 or more")
    buses = [
        BusDatabases(name, tuple(database.load(path) for path in paths))
        for name, paths in databases_of(args.dbc).items()
    ]
    plan = compile_plan(buses)
    wanted = _wanted(plan, args.signals)
    log = open_log(args.log, {bus.name: number for number, bus in enumerate(buses)})
    summary = _Summary()
    writer = _Writer(plan, is_csv=args.csv)
    if args.csv:
        sys.stdout.write(HEAD_OF_CSV)
    decoder = make_decoder(plan)
    try:
        for block in log:
            decoded = decoder.decode(block)
            summary.add(block, decoded)
            rows = np.flatnonzero(wanted[decoded.signal])
            if args.limit is not None:
                rows = rows[: args.limit - summary.rows]
            sys.stdout.write(writer.text(block, decoded, rows))
            summary.rows += len(rows)
            if summary.rows == args.limit:
                break
        sys.stdout.flush()
    finally:
        log.close()
    print(summary.text(log, buses), file=sys.stderr)
    return 0


def _wanted(
    plan: Plan, globs: Sequence[str] | None
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return for each signal of the plan whether it is printed.  Raises BadInput when none is."""
    if not globs:
        return np.ones(len(plan.signals), np.bool_)
    names = [signal.name for signal in plan.signals]
    chosen = {name for glob in globs for name in fnmatch.filter(names, glob)}
    if not chosen:
        raise BadInput(f"no signal of these databases matches {' or '.join(globs)}")
    return np.array([name in chosen for name in names], np.bool_)


class _Writer:
    """Turns rows into text; names and labels are written out once, not per row."""

    def __init__(self, plan: Plan, *, is_csv: bool) -> None:
        self._is_csv = is_csv
        quoted = _csv_field if is_csv else json.dumps
        self._head = [
            f",{quoted(signal.name)}," if is_csv else f',"signal":{quoted(signal.name)},"value":'
            for signal in plan.signals
        ]
        self._labels: list[Mapping[int, str]] = [
            {
                raw: f",{quoted(text)}\n" if is_csv else f',"label":{quoted(text)}}}\n'
                for raw, text in signal.signal.choices
            }
            for signal in plan.signals
        ]
        self._end = ",\n" if is_csv else "}\n"

    def text(
        self, block: FrameBlock, decoded: Decoded, rows: "np.ndarray[Any, np.dtype[np.intp]]"
    ) -> str:
        """Return the lines of `rows`."""
        return "".join(self._lines(block, decoded, rows))

    def _lines(
        self, block: FrameBlock, decoded: Decoded, rows: "np.ndarray[Any, np.dtype[np.intp]]"
    ) -> Iterator[str]:
        start = "" if self._is_csv else '{"time":'
        time = [
            f"{start}{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"
            for ns in block.time_ns.tolist()
        ]
        nothing = "" if self._is_csv else "null"  # JSON has no way to say NaN
        head, labels, end = self._head, self._labels, self._end
        for signal, raw, value, frame in zip(
            decoded.signal[rows].tolist(),
            decoded.raw[rows].tolist(),
            decoded.value[rows].tolist(),
            decoded.frame[rows].tolist(),
            strict=True,
        ):
            label = labels[signal]
            tail = label.get(raw, end) if label else end
            shown = repr(value) if math.isfinite(value) else nothing
            yield f"{time[frame]}{head[signal]}{shown}{tail}"


class _Summary:
    """What became of the frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.decoded = 0
        self.values = 0
        self.rows = 0
        self._refusals = [0] * len(Refusals._fields)

    def add(self, block: FrameBlock, decoded: Decoded) -> None:
        """Count one block."""
        self.frames += len(block)
        self.decoded += len(np.unique(decoded.frame))
        self.values += len(decoded.signal)
        self._refusals = [
            total + more for total, more in zip(self._refusals, decoded.refusals, strict=True)
        ]

    def text(self, log: LogReader, buses: Sequence[BusDatabases]) -> str:
        """Return one line for people, and one for each thing to look at."""
        refused = ", ".join(
            f"{count} {reason.replace('_', ' ')}"
            for reason, count in zip(Refusals._fields, self._refusals, strict=True)
            if count
        )
        counts = f"{self.frames} frames, {self.decoded} decoded into {self.values} values"
        lines = [f"{counts}, {self.rows} printed; refused: {refused or 'none'}"]
        if log.channels.unlisted:
            skipped = ", ".join(
                f"{count} of {name}" for name, count in log.channels.unlisted.items()
            )
            lines.append(f"skipped frames of channels without --dbc: {skipped}")
        if log.report.malformed:
            lines.append(f"unreadable in {log.path}: {log.report.malformed} lines or objects")
            lines += [f"  line {line}: {what!r}" for line, what in log.report.first_malformed]
        for bus in buses:
            for one in bus.databases:
                errors = sum(problem.severity == "error" for problem in one.problems)
                if errors:
                    lines.append(
                        f"{one.name}: {errors} parts of the database could not be taken over; "
                        "see edge-agent lint-dbc"
                    )
        return "\n".join(lines)


def _csv_field(text: str) -> str:
    field = io.StringIO()
    csv.writer(field, lineterminator="").writerow([text])
    return field.getvalue()
