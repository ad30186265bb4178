"""`edge-agent signals`: the vehicle's data for people: look, watch, order and look back, at the on-board door.

    edge-agent signals get  --config agent.toml --token-file t Vehicle.Speed 'Vehicle.Cabin.Door.**'
    edge-agent signals set  --config agent.toml --token-file t Vehicle.Cabin.Door.Row1.DriverSide.IsOpen=true

Rule 1: values go to standard output as a table, or one JSON object a line; what was left out to standard error.
Rule 2: exit code 1 when nothing could be told, or when an order did not end well, with one sentence.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli.signals_text import Column, moment, painted, shown, table
from edge_agent.config import Config
from fairway import config
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES
from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import BadInput, Conflict

TOKEN_FILE_MAX_BYTES = 16_384
_GOOD = ("confirmed", "forwarded")


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "signals",
        help="look at the vehicle's data and act on it",
        description="Look at the vehicle's data, watch it, and act on it, at the agent's door for apps.",
    )
    inner = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    get = _command(inner, "get", "print values and how good they are", _get)
    get.add_argument("path", nargs="+", metavar="PATH", help="a path, a branch or a pattern")
    put = _command(inner, "set", "order actuators, and say how it goes", _set)
    put.add_argument("target", nargs="+", metavar="PATH=VALUE", help="an actuator and its value")
    put.add_argument(
        "--deadline-ms",
        type=int,
        default=0,
        metavar="N",
        help="give up earlier than the agent would",
    )
    watch = _command(inner, "watch", "print values as they change", _watch)
    watch.add_argument("path", nargs="+", metavar="PATH", help="a path, a branch or a pattern")
    watch.add_argument("--seconds", type=float, metavar="N", help="stop after so many seconds")
    watch.add_argument(
        "--interval-ms", type=int, default=0, metavar="N", help="print at most every N milliseconds"
    )
    several = _command(inner, "list", "print which signals there are", _list)
    several.add_argument(
        "pattern", nargs="?", default="", metavar="PATTERN", help="all without one"
    )
    past = _command(inner, "history", "print the values that a signal had", _history)
    past.add_argument("path", metavar="PATH", help="a path")
    past.add_argument("--count", type=int, default=20, metavar="N", help="the newest N; 0 for all")
    past.add_argument("--since-s", type=float, metavar="S", help="not older than S seconds")


def _command(inner: Any, name: str, what: str, run: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = inner.add_parser(
        name, help=what, description=f"{what.capitalize()}."
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the agent's settings: they say where its door is",
    )
    command.add_argument(
        "--to", default="", metavar="ADDRESS", help="the door: unix:/path or tls://host:port"
    )
    command.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a token; - reads it from standard input"
    )
    command.add_argument(
        "--ca", type=Path, metavar="FILE", help="with tls://: who signed its certificate"
    )
    command.add_argument(
        "--certificate", type=Path, metavar="FILE", help="with tls://: our own certificate"
    )
    command.add_argument("--key", type=Path, metavar="FILE", help="its key")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)
    return command


def _get(args: argparse.Namespace) -> int:
    with _opened(args) as client:
        told, refused = client.get(args.path)
        units = _units(client, args)
    _complain(refused)
    if not told:
        raise BadInput("nothing that was named can be told")
    columns = [*_value_columns(units), Column("PROVIDER", lambda one: shown(one.provider))]
    _print(args, told, columns)
    return 0


def _set(args: argparse.Namespace) -> int:
    texts = dict(_pair(text) for text in args.target)
    if len(texts) < len(args.target):
        raise BadInput("an actuator is named twice")
    if not 0 <= args.deadline_ms <= 600_000:
        raise BadInput(f"--deadline-ms is {args.deadline_ms}; choose from 0 to 600000")
    ended: dict[str, Any] = {}
    with _opened(args) as client:
        datatypes = client.datatypes(list(texts))
        values = {path: value_of(datatypes[path], text) for path, text in texts.items()}
        for change in client.set(values, deadline_ms=args.deadline_ms):
            ended[change.path] = change
            if args.json:
                print(json.dumps(_fields(change)), flush=True)
            else:
                why = f"  {change.reason}: {change.sentence}" if change.reason else ""
                state = painted(f"{change.state:<10}", change.state)
                print(f"{moment(change.time_ns)}  {state} {shown(change.path)}{why}", flush=True)
    bad = [change for change in ended.values() if change.state not in _GOOD]
    if bad:
        raise Conflict(f"{bad[0].path} {bad[0].state}: {bad[0].sentence or bad[0].reason}")
    return 0


def _watch(args: argparse.Namespace) -> int:
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise BadInput(f"--seconds {args.seconds:g} is not above 0")
    if not 0 <= args.interval_ms <= 3_600_000:
        raise BadInput(f"--interval-ms is {args.interval_ms}; choose from 0 to 3600000")
    dropped = 0
    with _opened(args) as client:
        units = _units(client, args)
        widths: list[int] = []
        for news in client.watch(args.path, interval_ms=args.interval_ms, seconds=args.seconds):
            _complain(news.refused)
            is_first = not widths
            columns = _value_columns(units)
            widths = _print(args, news.told, columns, widths=widths, is_headed=is_first)
            if news.dropped > dropped:
                print(f"{news.dropped - dropped} values were not told", file=sys.stderr)
                dropped = news.dropped
    return 0


def _list(args: argparse.Namespace) -> int:
    with _opened(args) as client:
        described = client.described(args.pattern)
    columns = [
        Column("PATH", lambda one: shown(one.path)),
        Column("TYPE", lambda one: one.type),
        Column("DATATYPE", lambda one: one.datatype),
        Column("UNIT", lambda one: shown(one.unit)),
        Column("DESCRIPTION", lambda one: shown(one.description)[:60]),
    ]
    _print(args, described, columns)
    return 0


def _history(args: argparse.Namespace) -> int:
    if args.count < 0 or (args.since_s is not None and not 0 < args.since_s < 1e9):
        raise BadInput("--count is 0 or more, and --since-s above 0")
    since_ns = 0
    if args.since_s is not None:
        since_ns = SystemClock().now_ns() - round(args.since_s * NS_PER_S)
    with _opened(args) as client:
        told = client.history(args.path, since_ns=since_ns, count=args.count)
    _print(args, told, _value_columns({})[:3])
    return 0


def _value_columns(units: dict[str, str]) -> list[Column]:
    return [
        Column("TIME", lambda one: moment(one.time_ns)),
        Column("PATH", lambda one: shown(one.path)),
        Column("VALUE", lambda one: shown(one.value)),
        Column("UNIT", lambda one: shown(units.get(one.path, ""))),
        Column("QUALITY", lambda one: one.quality, is_painted=True),
    ]


def _opened(args: argparse.Namespace) -> Any:
    from edge_agent.adapters.signals_client import Access, SignalsClient  # noqa: PLC0415 - gRPC

    where = args.to
    if not where:
        if args.config is None:
            raise BadInput("give --to, where the agent's door is, or --config, which says it")
        where = door_of(config.load(Config, args.config))
    return SignalsClient(
        Access(where, _token(args.token_file), args.ca, args.certificate, args.key)
    )


def door_of(settings: Config) -> str:
    """Return where the door of these settings is.  Raises BadInput when there is none."""
    from edge_agent.adapters.onboard import SOCKET_NAME  # noqa: PLC0415

    if settings.onboard is None:
        raise BadInput("these settings have no [onboard]: there is no door")
    beside = (settings.spool.dir.parent / SOCKET_NAME).absolute()
    return settings.onboard.listen or f"unix:{beside}"


def value_of(datatype: str, text: str) -> Any:
    """Return what `text` says as a value of a data type; arrays are JSON.  Raises BadInput."""
    if datatype == "string":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"{text!r:.80} is no {datatype}") from None
    if datatype.endswith("[]"):
        if not isinstance(value, list):
            raise BadInput(f"{text!r:.80} is no {datatype}: write [..]")
        return tuple(_item(datatype.removesuffix("[]"), one) for one in value)
    return _item(datatype, value)


def _item(datatype: str, value: object) -> Any:
    if datatype == "boolean" and isinstance(value, bool):
        return value
    if datatype == "string" and isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if datatype in FLOAT_RANGES and abs(value) <= FLOAT_RANGES[datatype][1]:
            return float(value)
        low, high = INTEGER_RANGES.get(datatype, (1, 0))
        if isinstance(value, int) and low <= value <= high:
            return value
    raise BadInput(f"{json.dumps(value):.80} is no {datatype}")


def _pair(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not path or not equals:
        raise BadInput(f"{text!r:.80} is not PATH=VALUE")
    return path, value


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        if str(path) == "-":
            text = sys.stdin.read(TOKEN_FILE_MAX_BYTES + 1)
        else:
            with path.open(encoding="ascii") as file:
                text = file.read(TOKEN_FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"cannot read the token {path}: {getattr(error, 'strerror', None) or 'no text'}"
        ) from error
    token = text.strip().removeprefix("Bearer ").strip()
    if not token or len(text) > TOKEN_FILE_MAX_BYTES or not token.isprintable() or " " in token:
        raise BadInput(f"there is no token in {path}")
    return token


def _units(client: Any, args: argparse.Namespace) -> dict[str, str]:
    if args.json:
        return {}
    return {one.path: one.unit for path in args.path for one in _described(client, path)}


def _described(client: Any, path: str) -> list[Any]:
    try:
        return list(client.described(path))
    except BadInput:
        return []  # said where its value is asked for


def _complain(refused: dict[str, str]) -> None:
    for path, sentence in refused.items():
        print(f"{shown(path)}: {shown(sentence)}", file=sys.stderr)


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _print(
    args: argparse.Namespace,
    rows: Sequence[Any],
    columns: Sequence[Column],
    *,
    widths: list[int] | None = None,
    is_headed: bool = True,
) -> list[int]:
    """Print rows, and return how wide their columns are."""
    if args.json:
        for row in rows:
            print(json.dumps(_fields(row)), flush=True)
        return [0]
    lines, used = table(rows, columns, widths=widths, is_headed=is_headed)
    for line in lines:
        print(line, flush=True)
    return used
