"""`edge-agent enroll`: gets the vehicle its first certificate; the key is made here and stays here.

--claim DIR          ask the cloud, with the claim of the factory image
--csr-out FILE       write a signing request, to be carried to the cloud
--certificate FILE   install what was carried back
"""

import argparse
import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

from edge_agent.config import Config
from fairway import config as files
from fairway.clock import SystemClock
from fairway.enrolment import Ask, Endpoints, Granted, Waiting
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.ids import vehicle_id

FOLDER = Path("identity")


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "enroll",
        help="get this vehicle its certificate",
        description="Make a key, ask for a certificate, install it.  Asking again with the same key is"
        " harmless.",
    )
    ways = command.add_mutually_exclusive_group(required=True)
    ways.add_argument(
        "--claim",
        type=Path,
        metavar="DIR",
        help="enrol with the claim in DIR (fleet-cloud claim create)",
    )
    ways.add_argument(
        "--csr-out",
        type=Path,
        metavar="FILE",
        help="write a signing request (PEM) for fleet-cloud vehicle add",
    )
    ways.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="install what came of a signing request",
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the agent's settings: vehicle.id and identity.folder",
    )
    command.add_argument("--vehicle", metavar="VIN", help="instead of vehicle.id")
    command.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help=f"instead of identity.folder (default: ./{FOLDER})",
    )
    command.add_argument(
        "--key",
        default="file:key.pem",
        metavar="NAME",
        help="file:..., pkcs11:... or tpm2:...; made if it is not there",
    )
    command.add_argument(
        "--url", metavar="URL", help="grpcs://host:port, instead of what the claim says"
    )
    command.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="whom to trust, with --certificate (default: ca.pem beside it)",
    )
    command.add_argument(
        "--hardware-serial",
        default="",
        metavar="TEXT",
        help="what stands on the head unit, for who approves",
    )
    command.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="S",
        help="how long to wait for a person who approves a replacement",
    )
    command.add_argument("--json", action="store_true", help="print what was done as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Enrol."""
    from edge_agent.adapters.identity_files import (  # noqa: PLC0415 - other commands need no cryptography
        IdentityFiles,
        signing_request,
    )

    vehicle, folder = _who(args)
    identity = IdentityFiles(folder)
    if args.certificate is not None:
        me = identity.read()
        if me.vehicle != vehicle:
            raise Conflict(f"{folder} is the identity of {me.vehicle}, not of {vehicle}")
        key = identity.signer(me.key)
        granted = _carried(args.certificate, args.ca)
    else:
        region = _endpoints(args.claim).region if args.claim else ""
        identity.begin(vehicle, args.key, region)
        key = identity.signer(args.key, make=True)
        csr = signing_request(vehicle, key)
        if args.csr_out is not None:
            return _write_request(args, csr, vehicle)
        granted = asyncio.run(_asked(args, Ask(vehicle, csr, args.hardware_serial, _version())))
    leaf = identity.install(granted, key, SystemClock().now_ns())
    facts = {
        "vehicle": vehicle,
        "folder": str(folder),
        "region": leaf.identity.scope.region,
        "tenant": leaf.identity.scope.tenant,
        "certificate_sha256": leaf.validity.sha256,
        "expires_time_ns": leaf.validity.ends_ns,
        **dataclasses.asdict(identity.read().endpoints),
    }
    if args.json:
        print(json.dumps(facts))
    else:
        print(f'{vehicle} is enrolled; the agent connects with [identity] folder = "{folder}"')
    return 0


def _who(args: argparse.Namespace) -> tuple[str, Path]:
    vehicle, folder = args.vehicle, args.folder
    if args.config is not None:
        config = files.load(Config, args.config)
        vehicle = vehicle or config.vehicle.id
        folder = folder or (config.identity.folder if config.identity else None)
    if not vehicle:
        raise BadInput("say which vehicle this is: --vehicle VIN, or --config FILE")
    return vehicle_id(vehicle), folder or FOLDER


def _write_request(args: argparse.Namespace, csr_der: bytes, vehicle: str) -> int:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    pem = x509.load_der_x509_csr(csr_der).public_bytes(Encoding.PEM)
    try:
        args.csr_out.write_bytes(pem)
    except OSError as error:
        raise Unavailable(f"cannot write {args.csr_out}: {error.strerror}") from error
    if args.json:
        print(json.dumps({"vehicle": vehicle, "csr": str(args.csr_out)}))
    else:
        print(f"carry {args.csr_out} to the cloud: fleet-cloud vehicle add {vehicle} --csr FILE")
    return 0


def _carried(certificate: Path, ca: Path | None) -> Granted:
    beside = certificate.parent
    chain, anchors = _read(certificate), _read(ca or beside / "ca.pem")
    return Granted(chain, anchors, _endpoints(beside))


async def _asked(args: argparse.Namespace, ask: Ask) -> Granted:
    from edge_agent.adapters.enrolment_grpc import ask_cloud  # noqa: PLC0415
    from edge_agent.adapters.uplink_tls import address  # noqa: PLC0415

    claim: Path = args.claim
    url = args.url or _endpoints(claim).grpc_url
    if not url:
        raise BadInput(
            f"say where to enrol: --url grpcs://host:port ({claim} has no endpoints.json)"
        )
    names = ("ca.pem", "certificate.pem", "key.pem")
    ca, certificate, key = (claim / name for name in names)
    target = address(url, ca=ca, certificate=certificate, key=key)
    clock = SystemClock()
    until_ns = clock.monotonic_ns() + int(args.wait * 1e9)
    while True:
        answer = await ask_cloud(target, ask)
        if isinstance(answer, Granted):
            return answer
        left_s = (until_ns - clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise _waiting(ask, answer)
        await asyncio.sleep(min(left_s, max(1.0, float(answer.retry_after_s))))


def _waiting(ask: Ask, answer: Waiting) -> Unavailable:
    return Unavailable(
        f"{ask.vehicle} was enrolled before: a person has to approve this head unit (fleet-cloud enrolment"
        f" approve {ask.vehicle}); run this again afterwards, or --wait {max(answer.retry_after_s, 1) * 10}"
    )


def _endpoints(folder: Path) -> Endpoints:
    """Return where the cloud is, as the files in `folder` say; nowhere when they say nothing."""
    path = folder / "endpoints.json"
    if not path.exists():
        return Endpoints()
    try:
        tree = json.loads(_read(path))
        return Endpoints(*(str(tree.get(name, "")) for name in ("mqtt_url", "grpc_url", "region")))
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is not what fleet-cloud wrote: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _version() -> str:
    from edge_agent.adapters.renewal import agent_version  # noqa: PLC0415

    return agent_version()
