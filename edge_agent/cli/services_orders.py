"""`edge-agent services apply|stop|start|restart|remove|logs`: orders to the agent, and what services say.

Rule 1: an image that a manifest calls by a name becomes its digest here, and that is said: what runs never
        changes because a name moved.
Rule 2: --wait ends when what was applied runs and is ready, or never will; then the exit code is 1.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from edge_agent.cli.services_desk import add_where, asked
from edge_agent.cli.services_files import file_bytes
from edge_agent.cli.services_text import news, state_of
from edge_agent.cli.signals_text import shown
from edge_agent.services.manifests import read_manifests
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.services.manifest import service_document

LOOK_S = 0.2
FOLLOW_S = 0.5
FOLLOW_LINES = 1000
# What is only later than a moment ago is no news.
_COUNTDOWN = re.compile(r"\b[0-9.]+ s\b")


def add(below: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    apply = below.add_parser(
        "apply",
        help="declare services, in their places new versions of those that run",
        description="Declare services.  A new version that does not become healthy in its time gives way "
        "to the last good one.",
    )
    apply.add_argument("file", nargs="+", type=Path, metavar="FILE", help="manifests, YAML")
    apply.add_argument("--retry", action="store_true", help="try versions again that failed here")
    apply.add_argument("--wait", action="store_true", help="until they run and are ready")
    apply.add_argument(
        "--timeout-s", type=float, default=120.0, metavar="S", help="with --wait: at most so long"
    )
    add_where(apply)
    apply.set_defaults(run=_apply)
    for name, what in (
        ("stop", "stop a service until it is started again"),
        ("start", "have a service run that was stopped, or is not active"),
        ("restart", "stop what runs of a service; it is started again at once"),
        ("remove", "take a service back; its data is kept"),
    ):
        command = below.add_parser(name, help=what, description=f"{what.capitalize()}.")
        command.add_argument("name", metavar="NAME", help="the service")
        add_where(command)
        command.set_defaults(run=_order, order=name)
    logs = below.add_parser(
        "logs", help="print what a service says", description="Print what a service says."
    )
    logs.add_argument("name", metavar="NAME", help="the service, or one instance of it by its id")
    logs.add_argument("--last", type=int, default=100, metavar="N", help="the newest N lines")
    logs.add_argument("--follow", action="store_true", help="and all that come, until Ctrl-C")
    add_where(logs)
    logs.set_defaults(run=_logs)


def _apply(args: argparse.Namespace) -> int:
    if not 0 < args.timeout_s <= 86_400:
        raise BadInput(f"--timeout-s is {args.timeout_s:g}; choose from above 0 to 86400")

    def digest_of(name: str) -> str:
        digest = str(asked(args.config, "resolve", name=name))
        print(f"image {shown(name)} is {digest}", file=sys.stderr)
        return digest

    services = read_manifests([(str(path), file_bytes(path)) for path in args.file], digest_of)
    documents = [service_document(one) for one in services]
    asked(args.config, "apply", services=documents, retry=args.retry)
    names = [one.name for one in services]
    if args.wait:
        waited = _Waiting(args.config, names, deadline_s=time.monotonic() + args.timeout_s)
        waited.until_settled()
    told = [one for one in asked(args.config, "list") if one["name"] in names]
    if args.json:
        print(json.dumps(told))
    else:
        for one in told:
            why = f": {shown(one['why'])}" if one["why"] else ""
            print(f"{shown(one['name'])} {shown(one['version'])} {state_of(one)}{why}")
    return 0


class _Waiting:
    """Waits for services, and says on standard error how they do."""

    def __init__(self, config: Path, names: list[str], *, deadline_s: float) -> None:
        self._config, self._names, self._deadline_s = config, names, deadline_s
        self._said: dict[str, str] = {}

    def until_settled(self) -> None:
        """Return when all run.  Raises Conflict when one never will, Unavailable when it takes too long."""
        left = list(self._names)
        while left:
            for name in list(left):
                why = asked(self._config, "why", name=name)
                self._say(name, why)
                if is_settled(why):
                    left.remove(name)
            if left and time.monotonic() > self._deadline_s:
                raise Unavailable(f"{', '.join(left)} did not become ready in time")
            if left:
                time.sleep(LOOK_S)

    def _say(self, name: str, why: dict[str, Any]) -> None:
        reason = f": {shown(why['why'])}" if why["why"] else ""
        text = f"{shown(name)} {shown(why['state'])}{reason}"
        news = _COUNTDOWN.sub("", text)
        if self._said.get(name) != news:
            self._said[name] = news
            print(text, file=sys.stderr, flush=True)


def is_settled(why: dict[str, Any]) -> bool:
    """Whether what is wanted of a service is in force and ready, or did its work.

    Raises Conflict when it never will: it is remembered as bad, or has failed and is not tried again.
    """
    wanted = (why["wanted"] or {}).get("instance")
    if wanted is None:
        raise Conflict(f"{why['name']} is not wanted any more: somebody else declared it otherwise")
    for bad in why["bad"]:
        if bad["instance"] == wanted and why["change"] is None:
            raise Conflict(
                f"{why['name']} {bad['version']} failed here ({bad['why']}); "
                f"{(why['in_force'] or {}).get('version', 'nothing')} is in force"
            )
    if why["change"] is not None or (why["in_force"] or {}).get("instance") != wanted:
        return False
    if why["state"].startswith("Failed") and not _is_tried_again(why, wanted):
        raise Conflict(f"{why['name']} failed: {why['why']}")
    return bool(why["ready"]) or why["state"].startswith(("Succeeded", "NotScheduled"))


def _is_tried_again(why: dict[str, Any], wanted: str) -> bool:
    instance = why["instances"].get(wanted)
    return instance is not None and instance["next_try_s"] is not None


def _order(args: argparse.Namespace) -> int:
    asked(args.config, args.order, name=args.name)
    if args.json:
        print(json.dumps({"name": args.name, "order": args.order}))
    return 0


def _logs(args: argparse.Namespace) -> int:
    if not 0 < args.last <= 10_000:
        raise BadInput(f"--last is {args.last}; choose from 1 to 10000")
    lines = asked(args.config, "logs", name=args.name, last=args.last)
    _print(args, lines)
    while args.follow:
        time.sleep(FOLLOW_S)
        try:
            after = asked(args.config, "logs", name=args.name, last=FOLLOW_LINES)
        except Unavailable:
            continue  # the agent is started anew: services and their logs outlive it
        except KeyboardInterrupt:
            break
        _print(args, news(lines, after))
        lines = after
    return 0


def _print(args: argparse.Namespace, lines: list[str]) -> None:
    for line in lines:
        print(json.dumps(line) if args.json else shown(line), flush=True)
