"""`edge-agent token`: issues a token for an on-board app, or explains one; for development and integrators.

    edge-agent token --key apps.pem --scope "read:Vehicle.Speed" --subject climate-app --hours 12
    edge-agent token --key apps.pem --manifest app/AppManifest.json
    edge-agent token --check - --keys apps.pub < token

Rule 1: a token goes to standard output and nowhere else; `--check -` reads one from standard input, so that
it need not stand in a list of processes.
Rule 2: what cannot be checked is said to be unchecked; exit code 1 when the token would not be let in.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.broker.app_manifest import manifest_of
from fairway.clock import NS_PER_S, SystemClock
from fairway.crypto import Signer
from fairway.errors import BadInput, Denied, Unavailable
from fairway.services.foreign_velocitas import MANIFEST_MAX_CHARS
from fairway.signers.opening import make_signer, open_signer

# Ten years: a token that shall live longer is a password.
HOURS_MAX = 87_600
_NAME_MAX_CHARS = 256


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "token",
        help="issue or explain a token of an on-board app",
        description="Issue a token for an app in the vehicle (ES256), or explain one.",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--key", metavar="K", help="sign with this key: a file, pkcs11:..., tpm2:... or awskms:..."
    )
    what.add_argument("--new-key", metavar="K", help="make this key and print its public half")
    what.add_argument("--public", metavar="K", help="print the public half of this key")
    what.add_argument("--check", metavar="TOKEN", help="explain this token; - reads standard input")
    command.add_argument(
        "--scope", metavar="SCOPES", help="what the app may do, as in read:Vehicle.Speed"
    )
    command.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="instead: what this AppManifest.json of Velocitas says that the app uses, and no more",
    )
    command.add_argument(
        "--subject", metavar="NAME", help="which app it is for; the manifest's name by default"
    )
    command.add_argument(
        "--hours", type=float, default=24.0, metavar="N", help="how long it is good"
    )
    command.add_argument(
        "--audience",
        default="kuksa.val",
        metavar="NAME",
        help="which agents it is for: onboard.audience",
    )
    command.add_argument(
        "--issuer", default="", metavar="NAME", help="who issues it: onboard.issuer"
    )
    command.add_argument(
        "--kid", default="", metavar="ID", help="which key of a JWKS it was signed with"
    )
    command.add_argument(
        "--keys",
        type=Path,
        action="append",
        metavar="FILE",
        help="check the signature with these public keys (repeatable)",
    )
    command.add_argument("--json", action="store_true", help="print for machines")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    if args.check is not None:
        return _check(args)
    if args.new_key is not None:
        return _public(make_signer(args.new_key), is_json=args.json)
    if args.public is not None:
        return _public(open_signer(args.public), is_json=args.json)
    return _issue(args)


def _issue(args: argparse.Namespace) -> int:
    from edge_agent.adapters.tokens import issue, unchecked_claims  # noqa: PLC0415 - for this alone

    scope, subject = _asked(args)
    names = (subject, args.audience, args.issuer, args.kid)
    if (
        not all(name.isprintable() and len(name) <= _NAME_MAX_CHARS for name in names)
        or not args.audience
    ):
        raise BadInput(f"names are printable and have at most {_NAME_MAX_CHARS} characters")
    if not 0 < args.hours <= HOURS_MAX:
        raise BadInput(f"--hours is {args.hours:g}; choose more than 0, at most {HOURS_MAX}")
    token = issue(
        open_signer(args.key),
        subject=subject,
        scope=scope,
        audiences=[args.audience],
        hours=args.hours,
        now_ns=SystemClock().now_ns(),
        issuer=args.issuer,
        kid=args.kid,
    )
    print(json.dumps({"token": token, "claims": unchecked_claims(token)}) if args.json else token)
    return 0


def _asked(args: argparse.Namespace) -> tuple[str, str]:
    """Return the scopes and the subject of a token.  Raises BadInput or Unavailable."""
    scope, subject = args.scope, args.subject
    if args.manifest is not None:
        if scope is not None:
            raise BadInput("--scope and --manifest both say what the app may do: give one of them")
        manifest = manifest_of(_read(args.manifest))
        scope, subject = manifest.scope, subject or manifest.name
    if scope is None or not subject:
        raise BadInput(
            "--scope and --subject are needed, or --manifest: what the app may do, and which app it is"
        )
    return scope, subject


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as opened:
            return opened.read(MANIFEST_MAX_CHARS + 1)
    except OSError as error:
        raise Unavailable(f"cannot read the manifest {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no text: {error.reason}") from error


def _public(signer: Signer, *, is_json: bool) -> int:
    pem = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    print(json.dumps({"public_key": pem}) if is_json else pem, end="\n" if is_json else "")
    return 0


def _check(args: argparse.Namespace) -> int:
    from edge_agent.adapters.tokens import (  # noqa: PLC0415 - for this alone
        TOKEN_MAX_CHARS,
        claims_of,
        header_of,
        load_keys,
        unchecked_claims,
    )

    text = sys.stdin.read(TOKEN_MAX_CHARS + 2) if args.check == "-" else args.check
    token = text.strip().removeprefix("Bearer ").strip()
    keys = load_keys(args.keys) if args.keys else None
    header = header_of(token)
    claims = unchecked_claims(token)
    problem = ""
    try:
        if keys is not None:
            claims_of(token, keys)
        scopes = _judged(claims, args)
    except (BadInput, Denied) as error:
        problem, scopes = str(error), []
    said = {
        "header": header,
        "claims": claims,
        "signature": "unchecked" if keys is None else "checked",
        "grants": scopes,
        "problem": problem,
    }
    print(
        json.dumps(said)
        if args.json
        else _explained(header, claims, scopes, is_checked=keys is not None)
    )
    if problem:
        raise Denied(f"this token would not be let in: {problem}")
    return 0


def _judged(claims: Mapping[str, Any], args: argparse.Namespace) -> list[str]:
    """Return in words what `claims` grant now.  Raises BadInput or Denied."""
    from edge_agent.broker.access import told  # noqa: PLC0415 - for this alone
    from edge_agent.broker.claims import Expected, grant_of  # noqa: PLC0415

    expected = Expected(frozenset({args.audience}), args.issuer)
    return told(grant_of(claims, expected, SystemClock().now_ns()).rights.scopes)


def _explained(
    header: Mapping[str, Any], claims: Mapping[str, Any], grants: list[str], *, is_checked: bool
) -> str:
    now_s = SystemClock().now_ns() // NS_PER_S
    said = (*header.items(), *claims.items())  # a stranger's: nothing reaches the terminal as it is
    lines = [f"{json.dumps(name)[1:-1]}: {json.dumps(value)}" for name, value in said]
    expires = claims.get("exp")
    if isinstance(expires, int) and not isinstance(expires, bool):
        left_h = (expires - now_s) / 3600
        lines.append(
            f"expires in {left_h:.1f} hours" if left_h > 0 else f"expired {-left_h:.1f} hours ago"
        )
    signature = "checked" if is_checked else "NOT checked: give --keys"
    return "\n".join([*lines, *grants, f"signature {signature}"])
