"""`vehicle-sim ecu`: control units on a bus that answer a tester's questions for trouble codes and values."""

import argparse
import asyncio
import contextlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.diagnostics.dtc import Status
from fairway.clock import SystemClock
from fairway.errors import BadInput
from simulators.bus import Bus, BusSource, Front
from simulators.cli.record import stopped_by_signals
from simulators.ecu import SimulatedEcu
from simulators.ecu_bus import serve
from simulators.ecu_node import EcuNode, Fault
from simulators.ecu_table import load_tables
from simulators.fronts import KINDS, close_fronts, open_front

# A code that fails now and has failed often enough: what `--dtc NAME` means.
FAILING = (
    Status.TEST_FAILED
    | Status.TEST_FAILED_THIS_OPERATION_CYCLE
    | Status.PENDING
    | Status.CONFIRMED
    | Status.TEST_FAILED_SINCE_LAST_CLEAR
)


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "ecu",
        help="run control units that answer diagnostic requests",
        description="Run control units that answer OBD services 01, 03, 04 and 07 and UDS services 19 and 3E, "
        "until SIGTERM or SIGINT.",
    )
    command.add_argument(
        "--table",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON that says which ECUs there are, with their parameters and trouble codes",
    )
    command.add_argument(
        "--to", action="append", required=True, metavar="FRONT", help=f"{KINDS} (repeatable)"
    )
    command.add_argument(
        "--dtc",
        action="append",
        default=[],
        metavar="NAME[=STATUS]",
        help="a trouble code with its status byte (repeatable; without a status it fails now: 0x2F)",
    )
    command.add_argument(
        "--snapshot",
        action="append",
        default=[],
        metavar="NAME:N=HEX",
        help="snapshot N of a trouble code: the count of identifiers, and their contents (repeatable)",
    )
    command.add_argument(
        "--extended",
        action="append",
        default=[],
        metavar="NAME:N=HEX",
        help="extended data record N of a trouble code (repeatable)",
    )
    command.add_argument(
        "--pid",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of a parameter of OBD (repeatable; 0 without)",
    )
    command.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="[ECU=]FAULT",
        help=f"what goes wrong, with one ECU or all: {', '.join(Fault)} (repeatable)",
    )
    command.add_argument("--seconds", type=float, metavar="N", help="stop after so many seconds")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until stopped, or until the time is up."""
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise BadInput(f"--seconds {args.seconds:g} is not above 0")
    ecus = [SimulatedEcu(table) for table in load_tables(args.table)]
    _set(ecus, args)
    faults = _faults(ecus, args.fault)
    nodes = [EcuNode(ecu, faults[ecu.table.name]) for ecu in ecus]
    asyncio.run(_run(nodes, args))
    print(f"{sum(node.requests for node in nodes)} requests", file=sys.stderr)
    return 0


def _set(ecus: Sequence[SimulatedEcu], args: argparse.Namespace) -> None:
    for text in args.dtc:
        name, _, status = text.partition("=")
        _owner(ecus, name).set_status(name, _number(status) if status else FAILING)
    for text in args.snapshot:
        name, number, data = _record(text)
        ecu = _owner(ecus, name)
        ecu.keep(ecu.memory.snapshots, name, number, data)
    for text in args.extended:
        name, number, data = _record(text)
        ecu = _owner(ecus, name)
        ecu.keep(ecu.memory.extended, name, number, data)
    for text in args.pid:
        name, _, value = text.partition("=")
        owners = [ecu for ecu in ecus if name in ecu.table.pids]
        if not owners:
            raise BadInput(f"--pid {text}: no ECU has a parameter {name}")
        for ecu in owners:
            ecu.memory.values[name] = _value(text, value)


def _owner(ecus: Sequence[SimulatedEcu], name: str) -> SimulatedEcu:
    for ecu in ecus:
        if name in ecu.table.codes:
            return ecu
    raise BadInput(f"no ECU has a trouble code {name}")


def _record(text: str) -> tuple[str, int, bytes]:
    where, _, data = text.partition("=")
    name, _, number = where.rpartition(":")
    try:
        return name, int(number, 0), bytes.fromhex(data)
    except ValueError as error:
        raise BadInput(f"{text} is no record: write NAME:N=HEX") from error


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise BadInput(f"{text!r} is no number such as 47 or 0x2F") from error


def _value(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"--pid {text}: write NAME=VALUE, the value a number")
    return number


def _faults(ecus: Sequence[SimulatedEcu], texts: Sequence[str]) -> dict[str, Fault]:
    faults = {ecu.table.name: Fault.NONE for ecu in ecus}
    for text in texts:
        name, _, fault = text.rpartition("=")
        if fault not in list(Fault) or (name and name not in faults):
            raise BadInput(
                f"--fault {text}: write one of {', '.join(Fault)}, with ECU= before it for one of "
                f"{', '.join(faults)}"
            )
        faults |= {one: Fault(fault) for one in faults if name in ("", one)}
    return faults


async def _run(nodes: Sequence[EcuNode], args: argparse.Namespace) -> None:
    bus, opened = Bus(("ecu",)), list[Front]()
    source = BusSource(bus)
    task = asyncio.current_task()
    assert task is not None
    try:
        with stopped_by_signals(task.cancel):
            try:
                for text in args.to:
                    opened.append(await open_front(text, bus))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(args.seconds):
                        await serve(nodes, bus, source, SystemClock())
            finally:
                source.close()
                await close_fronts(opened)
    except asyncio.CancelledError:
        task.uncancel()
