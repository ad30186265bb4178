"""`fleet-cloud vehicle`: who belongs to the fleet, and by which certificates.  Works while the cloud runs."""

import argparse
import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.enrolment import Endpoints
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import DEFAULT_TENANT, Kind, tenant_name
from fairway.signers import file
from fleet_cloud.adapters.fleet_files import FleetFiles, open_fleet
from fleet_cloud.adapters.handing_out import endpoints_of, place_of
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.audit.acts import Act
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.config import Config
from fleet_cloud.control.ports import (
    Vehicle as VehicleOf,
)
from fleet_cloud.control.query import Value
from fleet_cloud.control.targets import (
    Facts,
    checked_facts,
)
from fleet_cloud.enrolment.requests import SigningRequest, request_from_pem, signing_request
from fleet_cloud.vehicles.certificates import REPLACED
from fleet_cloud.vehicles.registry import (
    Vehicle,
    VehicleState,
    checked_vehicle_name,
)

_FRAGMENT = """\
# Connects the vehicle {vehicle} to its cloud: add it to the agent's configuration.
[vehicle]
id = "{vehicle}"

[uplink]
url = "{url}"{other}
ca = "ca.pem"
certificate = "certificate.pem"
key = "key.pem"
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "vehicle", help="add, list and remove vehicles"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="register a vehicle and issue its certificate")
    adding.add_argument("vehicle", metavar="VEHICLE", help="a VIN, or the fleet's own name for it")
    adding.add_argument(
        "--out", type=Path, metavar="DIR", help="where its files go (default: ./VEHICLE)"
    )
    adding.add_argument("--tenant", default=DEFAULT_TENANT, help="whose vehicle it is")
    adding.add_argument(
        "--csr",
        type=Path,
        metavar="FILE",
        help="a signing request of the vehicle: its key stays there, and no key is made here",
    )
    adding.set_defaults(run=_add)
    signing = actions.add_parser("sign", help="issue a further certificate for a vehicle's own key")
    signing.add_argument("vehicle", metavar="VEHICLE")
    signing.add_argument(
        "--csr", type=Path, required=True, metavar="FILE", help="a signing request of the vehicle"
    )
    signing.add_argument(
        "--out", type=Path, metavar="DIR", help="where its files go (default: ./VEHICLE)"
    )
    signing.add_argument(
        "--replaces", action="store_true", help="revoke the vehicle's other certificates"
    )
    signing.set_defaults(run=_sign)
    listing = actions.add_parser("list", help="list the fleet")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    removing = actions.add_parser("remove", help="deny a vehicle from now on")
    removing.add_argument("vehicle", metavar="VEHICLE")
    removing.set_defaults(run=_remove)
    showing = actions.add_parser("certificates", help="list the certificates of a vehicle")
    showing.add_argument("vehicle", metavar="VEHICLE")
    showing.add_argument("--json", action="store_true", help="for machines")
    showing.set_defaults(run=_certificates)
    revoking = actions.add_parser("revoke", help="refuse a vehicle's certificates from now on")
    revoking.add_argument("vehicle", metavar="VEHICLE")
    revoking.add_argument(
        "--certificate", default="", metavar="SHA256", help="only this one (default: all of them)"
    )
    revoking.add_argument("--reason", required=True, help="why, for the record")
    revoking.set_defaults(run=_revoke)
    knowing = actions.add_parser(
        "set", help="say what is known of a vehicle: campaigns are aimed by it"
    )
    knowing.add_argument("vehicle", metavar="VEHICLE")
    knowing.add_argument(
        "--attributes",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="as in model=ID.4 year=2024",
    )
    knowing.add_argument("--fleets", nargs="+", default=[], metavar="FLEET", help="which it is in")
    knowing.set_defaults(run=_set)
    for action in (adding, signing, listing, removing, showing, revoking, knowing):
        settings.add_arguments(action)


def _add(args: argparse.Namespace) -> int:
    config = settings.read(args)
    name = checked_vehicle_name(args.vehicle)
    tenant = tenant_name(args.tenant)
    out: Path = args.out or Path(name)
    now_ns = SystemClock().now_ns()
    request = _request(args.csr, name) if args.csr else None
    with open_fleet(config) as fleet:
        known = fleet.registry.vehicles.vehicle(name)
        if known is not None and known.may_connect:
            raise Conflict(
                f"the vehicle {name} is registered already: remove it first to add it anew"
            )
        fragment = _fragment(name, endpoints_of(config, fleet.data.endpoints()))
        fleet.pki.add_tenant(tenant, now_ns)
        signer = file.fresh()
        key = request.public_key if request else signer.public_key()
        identity = fleet.pki.identity(Kind.VEHICLE, tenant, name)
        life = dt.timedelta(days=config.pki.vehicle_days)
        issued = fleet.pki.issue(identity, key, now_ns, life)
        if request:
            _carry(out, issued.certificate_pem, config, fleet)
        else:
            authority = config.broker.ca if config.broker.mode == "external" else None
            try:
                out.mkdir(parents=True, exist_ok=True)
                write_whole(out / "key.pem", signer.pem(), secret=True)
                write_whole(out / "certificate.pem", issued.certificate_pem)
                write_whole(out / "ca.pem", (authority or fleet.pki.ca).read_bytes())
                write_whole(out / "agent.toml", fragment.encode())
            except OSError as error:
                raise Unavailable(f"cannot write the vehicle's files to {out}: {error}") from error
        _audited(fleet, "add", name, tenant, certificate=issued.sha256)
        # A vehicle that was here before comes back with this certificate, and with no other.
        fleet.registry.certificates.revoke(name, now_ns, REPLACED)
        vehicle = Vehicle(name, tenant, VehicleState.ACTIVE, now_ns, None)
        fleet.registry.vehicles.add(vehicle)
        fleet.registry.certificates.record(issued.record)
    if request:
        print(f"{name} added; carry {out} to it: edge-agent enroll --certificate certificate.pem")
    else:
        print(
            f"{name} added; its files are in {out}: include agent.toml in the agent's configuration"
        )
    return 0


def _sign(args: argparse.Namespace) -> int:
    config = settings.read(args)
    out: Path = args.out or Path(args.vehicle)
    now_ns = SystemClock().now_ns()
    request = _request(args.csr, args.vehicle)
    with open_fleet(config) as fleet:
        known = fleet.registry.vehicles.vehicle(args.vehicle)
        if known is None or not known.may_connect:
            raise BadInput(f"no vehicle called {args.vehicle} is registered: vehicle add --csr")
        identity = fleet.pki.identity(Kind.VEHICLE, known.tenant, known.id)
        life = dt.timedelta(days=config.pki.vehicle_days)
        issued = fleet.pki.issue(identity, request.public_key, now_ns, life)
        _carry(out, issued.certificate_pem, config, fleet)
        facts = {"certificate": issued.sha256, "replaces": str(args.replaces).lower()}
        _audited(fleet, "sign", known.id, known.tenant, **facts)
        fleet.registry.certificates.record(issued.record, replaces=args.replaces)
    print(f"{known.id} signed; carry {out} to it: edge-agent enroll --certificate certificate.pem")
    return 0


def _request(path: Path, vehicle: str) -> SigningRequest:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return signing_request(request_from_pem(content), vehicle=vehicle)


def _carry(out: Path, certificate: bytes, config: Config, fleet: FleetFiles) -> None:
    """Write what is carried to a vehicle that has its key already."""
    place = place_of(config, fleet.pki, fleet.data.endpoints())
    endpoints = json.dumps(dataclasses.asdict(place.endpoints), indent=1) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "certificate.pem", certificate)
        write_whole(out / "ca.pem", place.anchors_pem)
        write_whole(out / "endpoints.json", endpoints.encode())
    except OSError as error:
        raise Unavailable(f"cannot write the vehicle's files to {out}: {error}") from error


def _list(args: argparse.Namespace) -> int:
    found: list[Vehicle] = []
    with open_fleet(settings.read(args)) as fleet:
        while page := fleet.registry.vehicles.vehicles(after=found[-1].id if found else ""):
            found += page
    if args.json:
        print(json.dumps([_as_json(vehicle) for vehicle in found], indent=1))
        return 0
    for vehicle in found:
        print(f"{vehicle.id:24} {vehicle.state:8} last seen {shown(vehicle.last_seen_time_ns)}")
    if not found:
        print("no vehicles yet: fleet-cloud vehicle add VEHICLE")
    return 0


def _remove(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        known = fleet.registry.vehicles.vehicle(args.vehicle)
        if known is not None:
            _audited(fleet, "remove", known.id, known.tenant)
        fleet.registry.vehicles.remove(args.vehicle)
        fleet.registry.certificates.revoke(args.vehicle, SystemClock().now_ns(), "removed")
    print(f"{args.vehicle} removed: it is denied from now on; its samples stay")
    return 0


def _certificates(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        found = fleet.registry.certificates.of_vehicle(args.vehicle)
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
        return 0
    for one in found:
        ends = f"until {shown(one.expires_time_ns)}" if one.state != "revoked" else one.reason
        print(f"{one.sha256}  {one.state:10}  {ends}")
    if not found:
        print(f"no certificate of {args.vehicle} is known here")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    now_ns = SystemClock().now_ns()
    with open_fleet(settings.read(args)) as fleet:
        certificates = fleet.registry.certificates
        known = fleet.registry.vehicles.vehicle(args.vehicle)
        if known is not None:
            facts = {"certificate": args.certificate or "all", "reason": args.reason}
            _audited(fleet, "revoke", known.id, known.tenant, **facts)
        count = certificates.revoke(args.vehicle, now_ns, args.reason, sha256=args.certificate)
        if not count:
            raise BadInput(
                f"{args.vehicle} has no such certificate in force: see `fleet-cloud vehicle certificates`"
            )
    print(f"{count} of {args.vehicle} revoked: open connections end within seconds")
    return 0


def _set(args: argparse.Namespace) -> int:
    facts = checked_facts(Facts(_attributes(args.attributes), frozenset(args.fleets)))
    with open_fleet(settings.read(args)) as fleet:
        known = fleet.registry.vehicles.vehicle(args.vehicle)
        if known is None:
            raise BadInput(f"no vehicle called {args.vehicle} is registered: vehicle add")
        _audited(fleet, "facts", known.id, known.tenant)
        fleet.registry.plan.put_facts(VehicleOf(known.tenant, known.id), facts)
    print(
        f"{args.vehicle} has {len(facts.attributes)} attributes and is in {len(facts.fleets)} fleets"
    )
    return 0


def _attributes(said: Sequence[str]) -> dict[str, Value]:
    """Read NAME=VALUE: a number and true or false are such, everything else is a text."""
    attributes: dict[str, Value] = {}
    for one in said:
        name, equals, text = one.partition("=")
        if not equals:
            raise BadInput(f"{one[:80]!r} is no attribute: write NAME=VALUE")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        attributes[name] = value if isinstance(value, bool | int | float) else text
    return attributes


def _audited(fleet: FleetFiles, verb: str, vehicle: str, tenant: str, **facts: str) -> None:
    fleet.audit.write(Act(f"vehicle.{verb}", actor(), f"vehicle:{vehicle}", tenant, details=facts))


def _fragment(name: str, urls: Endpoints) -> str:
    """Return the agent's settings that belong to this cloud."""
    mqtt, grpc = urls.mqtt_url, urls.grpc_url
    if not mqtt and not grpc:
        raise Conflict(
            "nobody knows yet at which port vehicles are let in: start fleet-cloud once, or choose one"
        )
    other = f'\n# url = "{grpc}"' if mqtt and grpc else ""
    return _FRAGMENT.format(vehicle=name, url=mqtt or grpc, other=other)


def _as_json(vehicle: Vehicle) -> dict[str, object]:
    return {
        "id": vehicle.id,
        "tenant": vehicle.tenant,
        "state": vehicle.state.value,
        "registered_time_ns": vehicle.registered_time_ns,
        "last_seen_time_ns": vehicle.last_seen_time_ns,
        "certificate_sha256": vehicle.certificate_sha256,
        "certificate_expires_time_ns": vehicle.certificate_expires_time_ns,
    }
