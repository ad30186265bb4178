"""`fleet-cloud campaign`: what is collected from which vehicles.  Works while the cloud runs.

Rule 1: what is done here is in force as soon as a running cloud notices, within a quarter of a second.
Rule 2: whoever runs commands on this machine holds everything: authors are told apart by their login.
"""

import argparse
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairway.campaign.document import DOCUMENT_MAX_BYTES, campaign_document
from fairway.clock import SystemClock
from fairway.control import CampaignState, ExplainCampaign
from fairway.errors import BadInput, Unavailable
from fairway.identity import DEFAULT_TENANT, tenant_name
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.fleet_files import FleetFiles, open_fleet
from fleet_cloud.campaigns.check import prepare, report
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.campaigns.service import Service, Wish
from fleet_cloud.campaigns.wishes import wish_of
from fleet_cloud.cli import campaign_dry_run, settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.control.commanding import Commanding
from fleet_cloud.control.ports import (
    PAGE_MAX,
    Vehicle,
)
from fleet_cloud.control.reach import meant
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
    target_of,
)

# A vehicle that is there answers within a second or two.
WHY_WAIT_S = 5.0
_LOOK_S = 0.1

_Act = Callable[[Service, Kept, str, int], Kept]


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "campaign", help="make, approve, start and follow campaigns"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="make a campaign, which then waits for approval")
    adding.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a FleetWise document, or one with its target (JSON)",
    )
    for kind in TargetKind:
        adding.add_argument(
            f"--{kind}", default="", metavar=kind.upper(), help=f"whom it is for, by {kind}"
        )
    adding.set_defaults(run=_add)
    listing = actions.add_parser("list", help="list campaigns")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    for verb, text, run in (
        ("approve", "approve a campaign as it is; its author cannot", _approve),
        ("start", "send an approved campaign to its vehicles", _start),
        ("suspend", "have vehicles pause a campaign", _suspend),
        ("resume", "have vehicles go on with a campaign", _resume),
        ("delete", "take a campaign from its vehicles, and forget it", _delete),
        ("stage", "raise the share of its targets that a campaign reaches", _stage),
        ("show", "show a campaign, and what it has brought", _show),
        ("vehicles", "list what vehicles say of a campaign", _vehicles),
        ("check", "hold a campaign against what its vehicles can collect", _check),
        ("why", "ask a vehicle why a campaign sends what it sends", _why),
    ):
        action = actions.add_parser(verb, help=text)
        action.add_argument("name", metavar="NAME")
        if verb == "stage":
            action.add_argument("percent", type=float, metavar="PERCENT")
        if verb == "why":
            action.add_argument("vehicle", metavar="VEHICLE")
        if verb in ("show", "vehicles", "check", "why"):
            action.add_argument("--json", action="store_true", help="for machines")
        action.set_defaults(run=run)
    campaign_dry_run.add(actions)
    for action in actions.choices.values():
        action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose campaign it is")
        settings.add_arguments(action)


def _add(args: argparse.Namespace) -> int:
    wish = _wish(args)
    with open_fleet(settings.read(args)) as fleet:
        service = _service(args, fleet)
        kept = service.create(
            tenant_name(args.tenant), wish, actor=actor(), now_ns=SystemClock().now_ns()
        )
    print(f"{kept.name} waits for approval: fleet-cloud campaign check {kept.name}, then approve")
    return 0


def _wish(args: argparse.Namespace) -> Wish:
    try:
        with args.file.open("rb") as file:
            content = file.read(2 * DOCUMENT_MAX_BYTES)
        document = json.loads(content)
    except OSError as error:
        raise BadInput(f"cannot read {args.file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{args.file} is no JSON: {error}") from error
    target = _target(args)
    if target is None:
        return wish_of(document)
    is_wrapped = isinstance(document, dict) and "campaign" in document
    wrapped = document if is_wrapped else {"campaign": document}
    return wish_of(wrapped | {"target": {target.kind.value: target.text}})


def _target(args: argparse.Namespace) -> Target | None:
    said = [(kind, text) for kind in TargetKind if (text := getattr(args, kind.value))]
    if len(said) > 1:
        raise BadInput(f"give one of {', '.join(f'--{kind}' for kind in TargetKind)}")
    return target_of(*said[0]) if said else None


def _approve(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.approve(kept, actor=who, now_ns=now))


def _start(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.start(kept, actor=who, now_ns=now))


def _suspend(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.suspend(kept, actor=who, now_ns=now))


def _resume(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.resume(kept, actor=who, now_ns=now))


def _delete(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.delete(kept, actor=who, now_ns=now))


def _stage(args: argparse.Namespace) -> int:
    percent: float = args.percent
    return _act(args, lambda of, kept, who, now: of.stage(kept, percent, actor=who, now_ns=now))


def _act(args: argparse.Namespace, act: _Act) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        done = act(_service(args, fleet), kept, actor(), SystemClock().now_ns())
    reached = f", {done.percent:g} % of its targets" if done.state.is_in_vehicles else ""
    print(f"{done.name} is {done.state}{reached}")
    return 0


def _list(args: argparse.Namespace) -> int:
    found: list[Kept] = []
    with open_fleet(settings.read(args)) as fleet:
        after = ""
        while page := fleet.registry.plan.campaigns(
            tenants=[args.tenant], after=after, limit=PAGE_MAX
        ):
            found += page
            after = f"{page[-1].tenant}/{page[-1].name}"
    if args.json:
        print(json.dumps([_as_json(kept) for kept in found], indent=1))
        return 0
    for kept in found:
        print(f"{kept.name:32} {kept.state:20} {kept.target.kind} {kept.target.text}")
    if not found:
        print("no campaigns yet: fleet-cloud campaign add FILE")
    return 0


def _show(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        total = fleet.registry.progress.total(kept.tenant, kept.sync_id)
        counts = fleet.registry.said.state_counts(kept.tenant, kept.sync_id)
    told = {CampaignState(state).name.lower(): count for state, count in counts.items()}
    brought = {name: value for name, value in asdict(total).items() if name != "vehicle"}
    if args.json:
        print(json.dumps(_as_json(kept) | {"vehicles": told, "progress": brought}, indent=1))
        return 0
    print(f"{kept.name}  {kept.state}  {kept.percent:g} % of {kept.target.kind} {kept.target.text}")
    print(
        f"by {kept.author}, approved by {kept.approved_by or 'nobody'}, changed {shown(kept.changed_time_ns)}"
    )
    if kept.halted:
        print(f"stopped by itself: {kept.halted}")
    print(
        "vehicles: "
        + (", ".join(f"{count} {state}" for state, count in told.items()) or "none yet")
    )
    print(f"brought: {total.events} events, {total.samples} samples, {total.received_bytes} bytes")
    return 0


def _vehicles(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        found: list[CheckedIn] = []
        while page := fleet.registry.said.statuses(
            kept.tenant, kept.sync_id, after=found[-1].vehicle.name if found else ""
        ):
            found += page
    if args.json:
        rows = [{"vehicle": one.vehicle.name, **asdict(one.check_in.campaigns[0])} for one in found]
        print(json.dumps(rows, indent=1))
        return 0
    for one in found:
        status = one.check_in.campaigns[0]
        more = "; ".join(filter(None, (status.reason, *status.warnings)))
        print(
            f"{one.vehicle.name:24} {status.state.name.lower():10} {status.triggers} triggers  {more}".rstrip()
        )
    if not found:
        print(f"no vehicle has said anything of {kept.name} yet")
    return 0


def _check(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        registry = fleet.registry
        catalogues = KeptCatalogues(registry.dictionaries)
        found = report(
            prepare(kept.campaign),
            meant(registry.plan, registry.vehicles, kept.tenant, kept.target),
            registry.said.catalogues(kept.tenant),
            lambda named: catalogues.table(kept.tenant, named),
        )
    if args.json:
        print(json.dumps(asdict(found), indent=1))
        return 0
    counts = ", ".join(f"{count} {fit}" for fit, count in found.counts.items())
    print(f"{kept.name} is for {found.vehicles} vehicles: {counts}")
    for name, count in found.missing.items():
        print(f"  {count} lack {name}")
    for sentence, count in found.errors.items():
        print(f"  {count}: {sentence}")
    return 0


def _why(args: argparse.Namespace) -> int:
    clock = SystemClock()
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        commands = fleet.registry.commands
        commanding = Commanding(commands, fleet.audit, lambda: secrets.token_hex(16))
        vehicle = Vehicle(kept.tenant, args.vehicle)
        question = ExplainCampaign(kept.sync_id)
        order = commanding.give(vehicle, question, actor=actor(), now_ns=clock.now_ns())
        deadline_ns = clock.monotonic_ns() + int(WHY_WAIT_S * 1e9)
        while not order.is_over and clock.monotonic_ns() < deadline_ns:
            time.sleep(_LOOK_S)
            order = commands.command([kept.tenant], order.id) or order
    if order.answer is None:
        raise Unavailable(
            f"{args.vehicle} has not answered within {WHY_WAIT_S:g} s: it may be away"
        )
    if args.json:
        print(order.answer.json or "null")
    else:
        print(f"{order.answer.state.name.lower()}: {order.answer.sentence}")
        if order.answer.json:
            print(json.dumps(json.loads(order.answer.json), indent=1))
    return 0


def _service(args: argparse.Namespace, fleet: FleetFiles) -> Service:
    config = settings.read(args)
    return Service(fleet.registry.plan, fleet.audit, self_approval=config.campaigns.self_approval)


def _known(args: argparse.Namespace, fleet: FleetFiles) -> Kept:
    kept = fleet.registry.plan.campaign(args.tenant, args.name)
    if kept is None:
        raise BadInput(f"no campaign is called {args.name}: see `fleet-cloud campaign list`")
    return kept


def _as_json(kept: Kept) -> dict[str, Any]:
    return asdict(kept) | {"name": kept.name, "campaign": campaign_document(kept.campaign)}
