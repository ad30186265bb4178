"""`fleet-cloud rollout`: which release goes to which vehicles, and the record of it.  Works beside a cloud.

Rule 1: what is done here is noticed by a running cloud within a second.
Rule 2: whoever runs commands on this machine holds everything: authors are told apart by their login.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT, tenant_name
from fairway.update import Stage
from fleet_cloud.adapters.fleet_files import FleetFiles, open_artifacts, open_fleet
from fleet_cloud.adapters.updates import Updates
from fleet_cloud.cli import rollout_records, settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.rollouts.desk import Desk
from fleet_cloud.rollouts.model import Counts, Kept, VehicleKept
from fleet_cloud.rollouts.wishes import wish_of, wish_to_json
from fleet_cloud.updating import open_updates, rollout_desk

WISH_MAX_BYTES = 1 << 20
_Act = Callable[[Desk, Kept, argparse.Namespace, str, int], str]


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rollout", help="roll releases out to vehicles, and keep the record of it"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    creating = actions.add_parser("create", help="make a rollout, which waits for approval")
    creating.add_argument("file", type=Path, metavar="FILE", help="a wish (JSON)")
    creating.add_argument("--draft", action="store_true", help="let it wait to be submitted")
    creating.set_defaults(run=_create)
    actions.add_parser("list", help="list rollouts, newest first").set_defaults(run=_list)
    for verb, (text, act) in ACTS.items():
        action = actions.add_parser(verb, help=text)
        if verb in ("reject", "pause", "stop"):
            action.add_argument("--why", default="", help="for whoever looks later")
        action.set_defaults(run=_act, act=act)
    actions.add_parser("show", help="show a rollout, its waves and counts").set_defaults(run=_show)
    vehicles = actions.add_parser("vehicles", help="list its vehicles: how each stands, and why")
    vehicles.add_argument("--stage", default="", metavar="STAGE", help="only those at this stage")
    vehicles.set_defaults(run=_vehicles)
    for verb, action in actions.choices.items():
        if verb not in ("create", "list"):
            action.add_argument(
                "id", metavar="ID", help="as `list` shows it; its beginning is enough"
            )
    why = actions.add_parser("why", help="say which updates a vehicle had, and how they ended")
    why.add_argument("vehicle", metavar="VEHICLE")
    why.set_defaults(run=_why)
    rollout_records.add(actions)
    for verb, action in actions.choices.items():
        if verb in ("list", "show", "vehicles", "why"):
            action.add_argument("--json", action="store_true", help="for machines")
        if verb != "verify":
            action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose it is")
        settings.add_arguments(action)


def _approve(desk: Desk, kept: Kept, _args: argparse.Namespace, who: str, now_ns: int) -> str:
    return desk.approve(kept, actor=who, now_ns=now_ns).state


def _retry(desk: Desk, kept: Kept, _args: argparse.Namespace, who: str, now_ns: int) -> str:
    _, count = desk.retry(kept, actor=who, now_ns=now_ns)
    return f"{kept.state}: {count} vehicles are offered it again"


ACTS: dict[str, tuple[str, _Act]] = {
    "submit": (
        "have a draft wait for approval",
        lambda desk, kept, _, who, now: desk.submit(kept, actor=who, now_ns=now).state,
    ),
    "approve": ("approve it; its author cannot", _approve),
    "reject": (
        "end it before it has begun",
        lambda desk, kept, args, who, now: desk.reject(kept, args.why, actor=who, now_ns=now).state,
    ),
    "start": (
        "begin with its first wave",
        lambda desk, kept, _, who, now: desk.start(kept, actor=who, now_ns=now).state,
    ),
    "pause": (
        "offer it to nobody more",
        lambda desk, kept, args, who, now: desk.pause(kept, args.why, actor=who, now_ns=now).state,
    ),
    "resume": (
        "go on, knowing who failed",
        lambda desk, kept, _, who, now: desk.resume(kept, actor=who, now_ns=now).state,
    ),
    "stop": (
        "end it for good: whoever has changed nothing yet gives it up",
        lambda desk, kept, args, who, now: desk.stop(kept, args.why, actor=who, now_ns=now).state,
    ),
    "retry": ("offer it again to those who failed or declined", _retry),
}


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[tuple[FleetFiles, Updates]]:
    """Open what updates are kept in.  Raises BadInput, Unavailable."""
    config = settings.read(args)
    with open_fleet(config) as fleet:
        yield fleet, open_updates(config, fleet.registry, open_artifacts(config))


def _create(args: argparse.Namespace) -> int:
    try:
        with args.file.open("rb") as file:
            content = file.read(WISH_MAX_BYTES + 1)
        values = json.loads(content)
    except OSError as error:
        raise BadInput(f"cannot read {args.file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{args.file} is not JSON: {error}") from error
    if len(content) > WISH_MAX_BYTES or not isinstance(values, dict):
        raise BadInput(f"{args.file} is no wish: a JSON object of {WISH_MAX_BYTES} bytes at most")
    wish, tenant = wish_of(values), tenant_name(args.tenant)
    with opened(args) as (fleet, updates):
        desk = rollout_desk(settings.read(args), updates, fleet.audit)
        now_ns = SystemClock().now_ns()
        kept = desk.create(tenant, wish, actor=actor(), now_ns=now_ns, is_draft=args.draft)
    print(f"{kept.id}: {kept.name} is {kept.state}")
    return 0


def _list(args: argparse.Namespace) -> int:
    with opened(args) as (_, updates):
        found = _every(updates, args.tenant)
    if args.json:
        print(json.dumps([_as_json(kept) for kept in found], indent=1))
        return 0
    for kept in found:
        print(f"{kept.id}  {kept.name:20} {kept.state:18} {kept.wish.bundle}  {kept.why}".rstrip())
    if not found:
        print("no rollouts yet: fleet-cloud rollout create FILE")
    return 0


def _act(args: argparse.Namespace) -> int:
    with opened(args) as (fleet, updates):
        desk = rollout_desk(settings.read(args), updates, fleet.audit)
        kept = _known(args, updates)
        done = args.act(desk, kept, args, actor(), SystemClock().now_ns())
    print(f"{kept.name} is {done}")
    return 0


def _show(args: argparse.Namespace) -> int:
    with opened(args) as (_, updates):
        kept = _known(args, updates)
        waves, counts = updates.rollouts.waves(kept), updates.rollouts.counts(kept)
    if args.json:
        said = [
            {**asdict(one), "vehicles": asdict(counts.get(one.number, Counts()))} for one in waves
        ]
        print(json.dumps(_as_json(kept) | {"waves": said}, indent=1))
        return 0
    print(f"{kept.name}  {kept.state}  {kept.wish.bundle} {kept.content.bundle.version}")
    print(f"by {kept.author}, approved by {kept.approved_by or 'nobody'}")
    if kept.why:
        print(f"why: {kept.why}")
    for one in waves:
        some = counts.get(one.number, Counts())
        numbers = ", ".join(f"{count} {name}" for name, count in asdict(some).items() if count)
        name = kept.wish.waves[one.number].name
        print(f"wave {one.number + 1} {name}: {one.state}  {numbers or 'no vehicles'}")
        if one.why:
            print(f"  {one.why}")
    return 0


def _vehicles(args: argparse.Namespace) -> int:
    if args.stage and args.stage not in list(Stage):
        raise BadInput(f"--stage {args.stage[:40]}: choose from {', '.join(Stage)}")
    stage = Stage(args.stage) if args.stage else None
    found: list[VehicleKept] = []
    with opened(args) as (_, updates):
        kept = _known(args, updates)
        while page := updates.rollouts.vehicles(
            kept, after=found[-1].vehicle if found else "", stage=stage
        ):
            found += page
    if args.json:
        print(json.dumps([asdict(one) | {"action": one.action} for one in found], indent=1))
        return 0
    for one in found:
        why = one.held or one.sentence
        fault = f"{one.fault}: " if one.fault else ""
        print(f"{one.vehicle:24} wave {one.wave + 1}  {one.stage:12} {fault}{why}".rstrip())
    if not found:
        print("no vehicles")
    return 0


def _why(args: argparse.Namespace) -> int:
    with opened(args) as (_, updates):
        found = [
            (kept, one, updates.offers.history(args.tenant, args.vehicle, one.action))
            for kept, one in updates.rollouts.of_vehicle(args.tenant, args.vehicle)
        ]
    if args.json:
        said = [
            {
                "rollout": kept.id,
                "name": kept.name,
                "state": kept.state,
                "standing": asdict(one),
                "events": [asdict(event) for event in events],
            }
            for kept, one, events in found
        ]
        print(json.dumps(said, indent=1))
        return 0
    for kept, one, events in found:
        why = one.held or one.sentence
        print(f"{kept.name} ({kept.id}, {kept.state}): {one.stage}  {why}".rstrip())
        for event in events:
            where = f" {event.ecu}" if event.ecu else ""
            print(f"  {shown(event.time_ns)} {event.stage}{where}  {event.sentence}".rstrip())
            if event.log:
                print("    " + event.log.replace("\n", "\n    "))
    if not found:
        print(f"{args.vehicle} was in no rollout of {args.tenant} yet")
    return 0


def _every(updates: Updates, tenant: str) -> list[Kept]:
    found: list[Kept] = []
    after = ""
    while page := updates.rollouts.rollouts(tenants=[tenant], after=after):
        found += page
        after = f"{page[-1].created_time_ns}/{page[-1].id}"
    return found


def _known(args: argparse.Namespace, updates: Updates) -> Kept:
    found = [kept for kept in _every(updates, args.tenant) if kept.id.startswith(args.id)]
    if len(found) != 1:
        how = "no rollout has" if not found else "several rollouts have"
        raise BadInput(f"{how} an id {args.id!r}: see `fleet-cloud rollout list`")
    return found[0]


def _as_json(kept: Kept) -> dict[str, Any]:
    return {
        "id": kept.id,
        "name": kept.name,
        "state": kept.state,
        "why": kept.why,
        "author": kept.author,
        "approved_by": kept.approved_by,
        "bundle": kept.wish.bundle,
        "sha256": kept.content.bundle_sha256,
        "wish": wish_to_json(kept.wish),
    }
