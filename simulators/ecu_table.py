"""What simulated ECUs are, as a JSON file says: FleetWise's simulator has such files, read as they are.

{"ecus": [{"name": "engine", "tx_id": "0x7E8", "zero_padding": true,
           "pids": {"VEHICLE_SPEED": {"num": "0x0D", "scale": 1.0, "offset": 0.0, "size": 1}},
           "dtcs": {"ECM_DTC1": {"num": "0x0123", "type": "OBD"},
                    "ECM_DTC3": {"num": "0xAAA123", "type": "UDS"}}}]}

Rule 1: an ECU answers with tx_id; it listens to the id that ISO 15765-4 has for that, and to the one for all.
Rule 2: a parameter on the wire is (value + offset) * scale, a whole number of `size` bytes or a float.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.config_diagnostics import FUNCTIONAL_ID, FUNCTIONAL_ID_29
from edge_agent.diagnostics.obd import is_response_id
from fairway.errors import BadInput

# FleetWise's tables have 5 KB; this is one with every code that there is a name for.
TABLE_MAX_BYTES = 4 * 1024 * 1024
_STANDARD_MAX = 0x7FF


@dataclass(frozen=True, slots=True)
class Pid:
    """A parameter of OBD service 01."""

    number: int
    size: int
    scale: float = 1.0
    offset: float = 0.0
    is_float: bool = False
    is_signed: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A trouble code that an ECU can have."""

    code: int
    is_uds: bool  # three bytes; else the two of OBD


@dataclass(frozen=True, slots=True)
class EcuTable:
    """One ECU."""

    name: str
    response_id: int
    padding: int | None = None
    only_functional: bool = False  # it obeys requests to all, and no others
    ignores_unknown: bool = False  # ranges of parameters of which it has none
    pids: Mapping[str, Pid] = field(default_factory=dict)
    codes: Mapping[str, Code] = field(default_factory=dict)

    @property
    def is_extended(self) -> bool:
        """Whether its ids have 29 bits."""
        return self.response_id > _STANDARD_MAX

    @property
    def request_id(self) -> int:
        """The id it listens to."""
        if self.is_extended:
            return 0x18DA00F1 | (self.response_id & 0xFF) << 8
        return self.response_id - 8

    @property
    def functional_id(self) -> int:
        """The id that all listen to."""
        return FUNCTIONAL_ID_29 if self.is_extended else FUNCTIONAL_ID


def load_tables(path: Path) -> tuple[EcuTable, ...]:
    """Read a file of ECUs.  Raises BadInput."""
    try:
        content = path.read_bytes()
        tree = json.loads(content) if len(content) <= TABLE_MAX_BYTES else None
    except OSError as error:
        raise BadInput(f"cannot read the ECUs {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the ECUs {path} are not JSON: {error}") from error
    return tables_of(tree, str(path))


def tables_of(tree: object, where: str) -> tuple[EcuTable, ...]:
    """Read the ECUs of a file.  Raises BadInput."""
    ecus = tree.get("ecus") if isinstance(tree, dict) else None
    if not isinstance(ecus, list) or not ecus:
        raise BadInput(f'{where} has no list of ECUs: {{"ecus": [...]}}')
    tables = tuple(_table(_object(one, f"{where}: an ECU"), where) for one in ecus)
    for what in ("name", "response_id"):
        if len({getattr(table, what) for table in tables}) < len(tables):
            raise BadInput(f"{where}: two ECUs have the same {what}")
    return tables


def _table(one: dict[str, Any], where: str) -> EcuTable:
    name = one.get("name")
    if not isinstance(name, str) or not name:
        raise BadInput(f"{where}: an ECU has no name")
    at = f"{where}: the ECU {name}"
    response_id = _number(one, "tx_id", at, 0x1FFF_FFFF)
    is_extended = response_id > _STANDARD_MAX
    if not is_response_id(response_id, is_extended=is_extended):
        raise BadInput(
            f"{at}: tx_id 0x{response_id:X} is not 0x7E8 to 0x7EF, nor 0x18DAF100 to 0x18DAF1FF"
        )
    pids = _object(one.get("pids", {}), f"{at}: pids")
    codes = _object(one.get("dtcs", {}), f"{at}: dtcs")
    return EcuTable(
        name,
        response_id,
        0 if one.get("zero_padding") is True else None,
        one.get("require_broadcast_requests") is True,
        one.get("ignore_unsupported_pid_requests") is True,
        {key: _pid(_object(value, f"{at}: {key}"), f"{at}: {key}") for key, value in pids.items()},
        {
            key: _code(_object(value, f"{at}: {key}"), f"{at}: {key}")
            for key, value in codes.items()
        },
    )


def _pid(one: dict[str, Any], at: str) -> Pid:
    size, is_float = one.get("size", 1), one.get("signal_value_type") == "FLOATING_POINT"
    if size not in ((4, 8) if is_float else range(1, 9)) or isinstance(size, bool):
        raise BadInput(f"{at}: its size is {size!r}; choose 1 to 8, for a float 4 or 8")
    scale, offset = one.get("scale", 1.0), one.get("offset", 0.0)
    for value in (scale, offset):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"{at}: {value!r} is no scale or offset")
    is_signed = one.get("is_signed") is True
    return Pid(_number(one, "num", at, 0xFF), size, scale, offset, is_float, is_signed)


def _code(one: dict[str, Any], at: str) -> Code:
    kind = one.get("type", "OBD")
    if kind not in ("OBD", "UDS"):
        raise BadInput(f"{at}: its type is {kind!r}; choose OBD or UDS")
    is_uds = kind == "UDS"
    return Code(_number(one, "num", at, 0xFF_FFFF if is_uds else 0xFFFF), is_uds)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{what} is no object")
    return value


def _number(one: dict[str, Any], key: str, at: str, most: int) -> int:
    try:
        number = int(str(one.get(key)), 0)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise BadInput(f'{at}: {key} is {one.get(key)!r}; write a number such as "0x7E8"')
    return number
