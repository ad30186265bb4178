"""`fleet-cloud token`: a token of the issuer of our own, without a browser.

Whoever may use it holds the machine, and with it the issuer's key; the cloud must have started once, with
`[api] sign_in`, so that the issuer has an address.
"""

import argparse
from typing import Any

from fairway.clock import SystemClock
from fairway.errors import BadInput, Conflict
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.adapters.own_issuer import OwnIssuer, own_signer
from fleet_cloud.audit.acts import Act, chain_of
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor

MINUTES_MAX = 24 * 60


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "token", help="print a token for somebody who can sign in here"
    )
    parser.add_argument("name", metavar="NAME", help="for whom")
    parser.add_argument("--minutes", type=int, default=60, metavar="N", help="for how long")
    settings.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a token."""
    config = settings.read(args)
    if not config.api.sign_in:
        raise BadInput("this cloud has no issuer of its own: set `sign_in = true` in [api]")
    if not 1 <= args.minutes <= MINUTES_MAX:
        raise BadInput(f"--minutes {args.minutes} is out of range: 1 to {MINUTES_MAX}")
    with open_fleet(config) as fleet:
        address = fleet.data.endpoints().get("api")
        if address is None:
            raise Conflict("the issuer has no address yet: start `fleet-cloud serve` once")
        user = fleet.registry.users.user(args.name)
        if user is None:
            raise BadInput(f"nobody is called {args.name[:80]!r} here: see `fleet-cloud user list`")
        issuer = OwnIssuer(address, own_signer(fleet.data.folder))
        act = Act("user.token", actor(), f"user:{user.name}", chain_of(user.grant.tenant))
        fleet.audit.write(act)
        now_ns = SystemClock().now_ns()
        print(issuer.access_token(user, now_ns, life_s=args.minutes * 60))
    return 0
