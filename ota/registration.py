"""ECUs as a vehicle registers them with the Director, in aktualizr's words: the body of POST /director/ecus.

    {"primary_ecu_serial": S, "ecus": [{"ecu_serial", "hardware_identifier",
                                        "clientKey": {"keytype", "keyval": {"public": PEM}}}]}

Rule 1: an ECU that signs nothing itself has no key: the primary reports for it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairway.errors import BadInput

ECUS_MAX = 256
_NAME_MAX = 128
_KEY_MAX = 4096


@dataclass(frozen=True, slots=True)
class Registered:
    """An ECU as a vehicle registers it."""

    serial: str
    hardware_id: str
    public_key: str = ""  # PEM, of the key that signs its reports; "": the primary signs for it
    is_primary: bool = False


def ecus_to_json(ecus: Sequence[Registered]) -> bytes:
    """Return the body that registers `ecus`; one of them is the primary."""
    primary = next(one.serial for one in ecus if one.is_primary)
    tree = {"primary_ecu_serial": primary, "ecus": [_written(one) for one in ecus]}
    return json.dumps(tree, separators=(",", ":")).encode()


def ecus_from_json(data: bytes) -> tuple[Registered, ...]:
    """Read what a vehicle registers.  Raises BadInput."""
    try:
        found = json.loads(data)
        primary, ecus = found["primary_ecu_serial"], found["ecus"]
        if not isinstance(ecus, list) or not 0 < len(ecus) <= ECUS_MAX:
            raise BadInput(f"a vehicle has 1 to {ECUS_MAX} ECUs")
        read = tuple(_read(one, primary) for one in ecus)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"these are no ECUs to register: {str(error)[:200]!r}") from error
    serials = [one.serial for one in read]
    if len(set(serials)) != len(serials) or serials.count(primary) != 1:
        raise BadInput("each ECU is named once, and the primary is one of them")
    return read


def _written(one: Registered) -> dict[str, Any]:
    tree: dict[str, Any] = {"ecu_serial": one.serial, "hardware_identifier": one.hardware_id}
    if one.public_key:
        tree["clientKey"] = {"keytype": "ECDSA", "keyval": {"public": one.public_key}}
    return tree


def _read(found: Any, primary: object) -> Registered:
    serial, hardware = found["ecu_serial"], found["hardware_identifier"]
    key = (found.get("clientKey") or {}).get("keyval", {}).get("public", "")
    for text, most in ((serial, _NAME_MAX), (hardware, _NAME_MAX), (key, _KEY_MAX)):
        if not isinstance(text, str) or len(text) > most or not text.isascii():
            raise BadInput(f"{str(text)[:80]!r} is no text of {most} ASCII characters at most")
    if not serial or not hardware:
        raise BadInput("an ECU has a serial and a hardware identifier")
    return Registered(serial, hardware, key, is_primary=serial == primary)
