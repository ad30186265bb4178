"""A tenant's settings for hawkBit's clients: hawkBit's own keys, those that mean something here.

Rule 1: nobody is let in without a proof: there is no anonymous access, and nothing switches it on.
Rule 2: the gateway's token is kept as its hash: whoever has it speaks for all vehicles of the tenant.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fairway.errors import BadInput

POLLING = "pollingTime"
TARGET_TOKENS = "authentication.targettoken.enabled"
GATEWAY_TOKEN = "authentication.gatewaytoken.enabled"  # noqa: S105 - the key's name
GATEWAY_KEY = "authentication.gatewaytoken.key"
HEADER = "authentication.header.enabled"
AUTHORITY = "authentication.header.authority"
ANONYMOUS = "anonymous.download.enabled"

TOKEN_MAX_CHARS = 128
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
_TOKEN = re.compile(r"[\x21-\x7e]{8,128}")
_AUTHORITY = re.compile(r"[0-9A-Za-z:,]{0,512}")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a key may be set to."""

    default: Any
    check: Callable[[Any], bool]
    says: str  # what it has to be
    is_secret: bool = False


def _is_time(value: Any) -> bool:
    # Clients that ask every few seconds are a flood; thirty are hawkBit's least, too.
    return isinstance(value, str) and bool(_TIME.fullmatch(value)) and value >= "00:00:05"


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


SETTINGS: Mapping[str, Setting] = {
    POLLING: Setting("00:05:00", _is_time, "HH:MM:SS, 00:00:05 or more"),
    "pollingOverdueTime": Setting("00:05:00", _is_time, "HH:MM:SS, 00:00:05 or more"),
    TARGET_TOKENS: Setting(default=True, check=_is_flag, says="true or false"),
    GATEWAY_TOKEN: Setting(default=False, check=_is_flag, says="true or false"),
    GATEWAY_KEY: Setting(
        "",
        lambda value: isinstance(value, str) and bool(_TOKEN.fullmatch(value)),
        "8 to 128 printable ASCII characters without spaces",
        is_secret=True,
    ),
    HEADER: Setting(default=False, check=_is_flag, says="true or false"),
    AUTHORITY: Setting(
        "",
        lambda value: isinstance(value, str) and bool(_AUTHORITY.fullmatch(value)),
        "hashes of issuers, with commas between them",
    ),
    ANONYMOUS: Setting(
        default=False, check=lambda value: value is False, says="false: nobody is anonymous here"
    ),
}


def checked(key: str, value: Any) -> Any:
    """Return `value` when `key` may be set to it.  Raises BadInput."""
    setting = SETTINGS[key]
    if not setting.check(value):
        raise BadInput(f"{key} is {setting.says}")
    return value


def token_of(text: Any) -> str:
    """Return a token that a user chose.  Raises BadInput."""
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise BadInput(f"a token is {SETTINGS[GATEWAY_KEY].says}")
    return text
