"""Page tokens: where a listing goes on, signed, so that nobody has another's or makes one.

    <base64url of: MAC, 16 bytes | the last name of the page before>

Rule 1: a token is good for the tenant, the operation and the filters that it was given for, and no other.
Rule 2: it names a place between names and no row, so that it outlives whatever is added and removed meanwhile.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any

from fleet_cloud.models.refusals import BadField

_MAC_BYTES = 16
_PURPOSE = b"fairway page token 1"
_NOT_FILTERS = ("nextToken", "maxResults")


class PageTokens:
    """Makes and reads tokens with a key of its own."""

    def __init__(self, root: bytes) -> None:
        self._key = hmac.digest(root, _PURPOSE, "sha256")

    def made(self, tenant: str, operation: str, request: Mapping[str, Any], after: str) -> str:
        """Return the token with which the listing goes on behind `after`."""
        place = after.encode()
        mac = self._mac(tenant, operation, request, place)
        return base64.urlsafe_b64encode(mac + place).decode()

    def read(self, tenant: str, operation: str, request: Mapping[str, Any]) -> str:
        """Return where the listing goes on: the start without a token.  Raises BadField."""
        token = request.get("nextToken")
        if token is None:
            return ""
        try:
            found = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            found = b""
        mac, place = found[:_MAC_BYTES], found[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(tenant, operation, request, place)):
            raise BadField("nextToken", "is no token of this listing: begin anew")
        return place.decode()

    def _mac(self, tenant: str, operation: str, request: Mapping[str, Any], place: bytes) -> bytes:
        filters = {name: value for name, value in request.items() if name not in _NOT_FILTERS}
        told = json.dumps([tenant, operation, filters, place.hex()], sort_keys=True)
        return hmac.digest(self._key, told.encode(), "sha256")[:_MAC_BYTES]
