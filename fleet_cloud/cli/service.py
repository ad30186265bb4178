"""`fleet-cloud service`: have services run in vehicles, approve them, and follow what becomes of them."""

import argparse
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.control import (
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceStatus,
    ServiceWhat,
    StopService,
)
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import DEFAULT_TENANT, tenant_name
from fairway.services.manifest import MANIFEST_MAX_BYTES, service_from_json, service_from_yaml
from fairway.services.model import Service, service_name
from fleet_cloud.adapters.fleet_files import FleetFiles, open_fleet
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.control.commanding import Commanding
from fleet_cloud.control.ports import PAGE_MAX, Order, Vehicle
from fleet_cloud.control.targets import TargetKind, target_of
from fleet_cloud.services.model import Content, Kept, Said
from fleet_cloud.services.ordering import Ordering
from fleet_cloud.services.reach import every, of_vehicle

# A vehicle that is there answers within a second or two; logs may be a megabyte on a slow link.
ANSWER_WAIT_S = 10.0
_LOOK_S = 0.1
_Act = Callable[[Ordering, Kept, str, int], Kept]


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "service", help="have services run in vehicles, and follow them"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    applying = actions.add_parser("apply", help="desire a service of a vehicle, a fleet or a query")
    applying.add_argument("file", type=Path, metavar="FILE", help="a manifest (YAML or JSON)")
    for kind in TargetKind:
        applying.add_argument(
            f"--{kind}", default="", metavar=kind.upper(), help=f"whom it is for, by {kind}"
        )
    applying.set_defaults(run=_apply)
    listing = actions.add_parser("list", help="list what is desired")
    listing.set_defaults(run=_list)
    for verb, text, run in (
        ("approve", "put what waits into force; its author cannot", _approve),
        ("withdraw", "forget what waits", _withdraw),
        ("remove", "desire it no longer", _remove),
        ("vehicles", "list what vehicles say of a service", _vehicles),
    ):
        action = actions.add_parser(verb, help=text)
        action.add_argument("id", metavar="ID", help="as `list` shows it; its beginning is enough")
        action.set_defaults(run=run)
    status = actions.add_parser("status", help="show what a vehicle is to run, and what it says")
    status.add_argument("vehicle", metavar="VEHICLE")
    status.set_defaults(run=_status)
    for verb, text in (
        ("logs", "ask a vehicle for the newest lines of a service"),
        ("why", "ask a vehicle why a service stands as it does"),
        ("restart", "have a vehicle start a service anew"),
        ("stop", "have a vehicle stop a service until it is restarted"),
    ):
        action = actions.add_parser(verb, help=text)
        action.add_argument("vehicle", metavar="VEHICLE")
        action.add_argument("service", metavar="SERVICE")
        if verb == "logs":
            action.add_argument("--lines", type=int, default=100, help="how many at most")
        action.set_defaults(run=_ask, verb=verb)
    for name, action in actions.choices.items():
        if name in ("list", "vehicles", "status", "logs", "why"):
            action.add_argument("--json", action="store_true", help="for machines")
        action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose it is")
        settings.add_arguments(action)


def _apply(args: argparse.Namespace) -> int:
    said = [(kind, text) for kind in TargetKind if (text := getattr(args, kind.value))]
    if len(said) != 1:
        raise BadInput(
            f"whom is it for?  Give one of {', '.join(f'--{kind}' for kind in TargetKind)}"
        )
    service, target = _manifest(args.file), target_of(*said[0])
    with open_fleet(settings.read(args)) as fleet:
        tenant = tenant_name(args.tenant)
        is_known = not service.image or fleet.registry.images.image(tenant, service.image)
        kept = _ordering(args, fleet).apply(
            tenant, service, target, actor=actor(), now_ns=SystemClock().now_ns()
        )
    state = "waits for approval" if kept.proposed else "is in force"
    print(f"{kept.id}: {service.name} {service.version} {state} for {target.kind} {target.text}")
    if not is_known:
        print(f"its image {service.image} is not here yet: fleet-cloud image push LAYOUT")
    return 0


def _manifest(path: Path) -> Service:
    try:
        with path.open("rb") as file:
            content = file.read(MANIFEST_MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    read = service_from_json if path.suffix == ".json" else service_from_yaml
    return read(content, file=str(path))


def _list(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        found = list(every(fleet.registry.services, args.tenant))
    if args.json:
        print(json.dumps([_as_json(kept) for kept in found], indent=1))
        return 0
    for kept in found:
        held = kept.in_force.version if kept.in_force else "-"
        waits = f", {kept.proposed.version} waits for approval" if kept.proposed else ""
        print(f"{kept.id}  {kept.name:24} {held}{waits}  {kept.target.kind} {kept.target.text}")
    if not found:
        print("no services yet: fleet-cloud service apply FILE --fleet FLEET")
    return 0


def _approve(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.approve(kept, "", actor=who, now_ns=now))


def _withdraw(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.withdraw(kept, actor=who, now_ns=now))


def _remove(args: argparse.Namespace) -> int:
    return _act(args, lambda of, kept, who, now: of.remove(kept, actor=who, now_ns=now))


def _act(args: argparse.Namespace, act: _Act) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        done = act(_ordering(args, fleet), kept, actor(), SystemClock().now_ns())
    print(f"{done.name} of {done.target.kind} {done.target.text} is {done.state}")
    return 0


def _vehicles(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        kept = _known(args, fleet)
        found: list[Said] = []
        while page := fleet.registry.service_statuses.of_service(
            kept.tenant, kept.name, after=found[-1].vehicle.name if found else "", limit=PAGE_MAX
        ):
            found += page
    if args.json:
        rows = [{"vehicle": one.vehicle.name, **asdict(one.services[0])} for one in found]
        print(json.dumps(rows, indent=1))
        return 0
    for one in found:
        print(f"{one.vehicle.name:24} {_line(one.services[0])}")
    if not found:
        print(f"no vehicle has said anything of {kept.name} yet")
    return 0


def _status(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        vehicle = _vehicle(args, fleet)
        registry = fleet.registry
        chosen = of_vehicle(registry.services, registry.plan, vehicle)
        said = registry.service_statuses.said(vehicle)
    if args.json:
        wanted = [
            {
                "id": one.kept.id,
                "service": one.kept.name,
                "version": one.content.version,
                "conflict": one.conflict,
            }
            for one in chosen
        ]
        told = [asdict(status) for status in said.services] if said else None
        print(json.dumps({"desired": wanted, "services": told}, indent=1))
        return 0
    for one in chosen:
        target = one.kept.target
        print(f"desired  {one.kept.name} {one.content.version}  by {target.kind} {target.text}")
        if one.conflict:
            print(f"  conflict: {one.conflict}")
    if said is None:
        print(f"{vehicle.name} has not said that it runs services")
        return 0
    print(f"as of {shown(said.received_time_ns)}, list {said.revision}:")
    for status in said.services:
        print(f"  {_line(status)}")
    return 0


def _line(status: ServiceStatus) -> str:
    state = f"{status.state}({status.sub})" if status.sub else str(status.state)
    more = [
        *(["ready"] if status.is_ready else []),
        *([] if status.is_isolated else ["not isolated"]),
        *([f"{status.restarts} restarts"] if status.restarts else []),
        *([f"bad: {', '.join(status.bad)}"] if status.bad else []),
        *([f"denied {status.denied} times"] if status.denied else []),
        *([status.why] if status.why else []),
    ]
    return f"{status.name} {status.version} {state}  {'; '.join(more)}".rstrip()


def _ask(args: argparse.Namespace) -> int:
    name = service_name(args.service)
    whats: dict[str, ServiceWhat] = {
        "logs": FetchServiceLogs(name, max(args.lines, 1) if args.verb == "logs" else 0),
        "why": ExplainService(name),
        "restart": RestartService(name),
        "stop": StopService(name),
    }
    order = _asked(args, whats[args.verb])
    if order.answer is None:
        raise Unavailable(
            f"{args.vehicle} has not answered within {ANSWER_WAIT_S:g} s: it may be away"
        )
    is_good = order.answer.state.name == "SUCCEEDED"
    if getattr(args, "json", False):
        print(order.answer.json or "null")
    elif not is_good or args.verb in ("restart", "stop"):
        print(f"{order.answer.state.name.lower()}: {order.answer.sentence or args.verb}")
    elif args.verb == "logs":
        print("\n".join(map(str, json.loads(order.answer.json).get("lines", []))))
    else:
        print(json.dumps(json.loads(order.answer.json), indent=1))
    return 0 if is_good else 1


def _asked(args: argparse.Namespace, what: ServiceWhat) -> Order:
    clock = SystemClock()
    with open_fleet(settings.read(args)) as fleet:
        vehicle, commands = _vehicle(args, fleet), fleet.registry.commands
        if fleet.registry.service_statuses.said(vehicle) is None:
            raise Conflict(
                f"{vehicle.name} has not said that it runs services: nobody can be asked"
            )
        commanding = Commanding(commands, fleet.audit, lambda: secrets.token_hex(16))
        order = commanding.give(
            vehicle,
            what,
            actor=actor(),
            now_ns=clock.now_ns(),
            details={"service": what.service},
        )
        deadline_ns = clock.monotonic_ns() + int(ANSWER_WAIT_S * 1e9)
        while not order.is_over and clock.monotonic_ns() < deadline_ns:
            time.sleep(_LOOK_S)
            order = commands.command([vehicle.tenant], order.id) or order
    return order


def _ordering(args: argparse.Namespace, fleet: FleetFiles) -> Ordering:
    of = settings.read(args).services
    return Ordering(
        fleet.registry.services, fleet.audit, of.needs_approval, self_approval=of.self_approval
    )


def _known(args: argparse.Namespace, fleet: FleetFiles) -> Kept:
    found = [
        one for one in every(fleet.registry.services, args.tenant) if one.id.startswith(args.id)
    ]
    if len(found) != 1:
        how = "no service is" if not found else "several services are"
        raise BadInput(f"{how} desired by an id {args.id!r}: see `fleet-cloud service list`")
    return found[0]


def _vehicle(args: argparse.Namespace, fleet: FleetFiles) -> Vehicle:
    found = fleet.registry.vehicles.vehicle(args.vehicle)
    if found is None or found.tenant != args.tenant:
        raise BadInput(f"no vehicle is called {args.vehicle}: see `fleet-cloud vehicle list`")
    return Vehicle(found.tenant, found.id)


def _as_json(kept: Kept) -> dict[str, Any]:
    return asdict(kept) | {
        "in_force": _content(kept.in_force),
        "proposed": _content(kept.proposed),
    }


def _content(content: Content | None) -> dict[str, Any] | None:
    if content is None:
        return None
    return asdict(content) | {"manifest": json.loads(content.manifest)}
