"""API keys as AWS's clients want them: an access key id that is sent, and a secret that never is.

    FWAK<ID>      the id of an API key (keys.py) in capital letters: 20 characters, as AWS's own have
    <secret>      40 characters: base64 of HMAC-SHA256(root of this cloud, id)

Rule 1: whoever checks a signature needs the secret itself, so it is not kept but made again from the root, a
file that only the cloud can read.  What is kept of the key is what is kept of any other: its secret's hash.
Rule 2: that hash must fit the secret made again, so a key of another root, or one that is sent as a bearer,
signs nothing.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass

from fairway.errors import BadInput, Denied
from fleet_cloud.access.grants import ALL, Grant
from fleet_cloud.access.keys import ApiKey, kept_key

PREFIX = "FWAK"
ROOT_BYTES = 32
_ID = re.compile(r"FWAK([0-9A-F]{16})", re.ASCII)
# 30 bytes are 40 characters of base64 without padding, the length of AWS's secrets.
_SECRET_BYTES = 30
_PURPOSE = b"fairway aws key 1:"


@dataclass(frozen=True, slots=True)
class AwsKey:
    """What a client of AWS is configured with."""

    access_key_id: str
    secret_access_key: str


def fresh_aws_key(
    root: bytes, name: str, grant: Grant, now_ns: int, *, expires_time_ns: int | None = None
) -> tuple[ApiKey, AwsKey]:
    """Make a key, and return what is kept of it and the key itself.  Raises BadInput."""
    if grant.tenant == ALL or grant.fleet != ALL:
        raise BadInput(
            f"an AWS key stands for one account, so its grant is over one whole tenant, not {grant}"
        )
    identifier = secrets.token_hex(8)
    secret = secret_of(root, identifier)
    kept = kept_key(identifier, secret, name, grant, now_ns, expires_time_ns)
    return kept, AwsKey(PREFIX + identifier.upper(), secret)


def key_id(access_key_id: str) -> str:
    """Return the id of the API key that is called so.  Raises Denied when none can be."""
    found = _ID.fullmatch(access_key_id)
    if found is None:
        raise Denied("the access key id is not one of this cloud's")
    return found[1].lower()


def secret_of(root: bytes, identifier: str) -> str:
    """Return the secret of the key with that id."""
    made = hmac.digest(root, _PURPOSE + identifier.encode(), "sha256")
    return base64.b64encode(made[:_SECRET_BYTES]).decode()
