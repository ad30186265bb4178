"""Who asks by hawkBit's management API: basic authentication, with an API key for a password.

    Authorization: Basic base64(anything:fwk_...) --> key --> permission of the route --> tenant of its grant

Rule 1: a key is a key: the gate lets it in or not, slows who guesses, and notes who changes something.
Rule 2: a key speaks for one whole tenant here: hawkBit's paths name none.
"""

import base64
import binascii
from dataclasses import dataclass

from fastapi import Request

from fairway.errors import Denied
from fleet_cloud.access.grants import ALL, Principal, may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.gate import client_of
from fleet_cloud.api.ports import NotAllowed, NotSignedIn
from fleet_cloud.audit.acts import Act

_HEADER_MAX_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Manager:
    """Who asks, and for which tenant."""

    principal: Principal
    tenant: str

    @property
    def actor(self) -> str:
        """How the audit log calls them."""
        return self.principal.actor


class Management:
    """Lets managers in."""

    def __init__(self, ports: HawkbitPorts) -> None:
        self._ports = ports

    def enter(self, request: Request, permission: Permission) -> Manager:
        """Return who asks.  Raises NotSignedIn, NotAllowed, TooOften, Unavailable."""
        template = getattr(request.scope.get("route"), "path", "")
        route, gate = f"{request.method} {template}", self._ports.gate
        shown = request.headers.getlist("authorization")
        if not shown:
            gate.note_anonymous(route)
            raise NotSignedIn(
                "nobody is signed in: use basic authentication, with an API key for a password",
                is_wrong=False,
            )
        key = ", ".join(shown)
        principal = gate.proved(
            client_of(request), route, key, lambda: gate.principal(_password(key))
        )
        gate.let_in(principal, permission, route)
        tenants = {grant.tenant for grant in principal.grants}
        if len(tenants) != 1 or ALL in tenants:
            raise Denied("hawkBit's API needs a key over one tenant: this one is over others, too")
        (tenant,) = tenants
        if not may(principal, permission, tenant):
            raise NotAllowed(permission)
        return Manager(principal, tenant)

    def note(self, manager: Manager, action: str, what: str, **details: str) -> None:
        """Put an act into the audit log before it is done.  Raises Unavailable."""
        act = Act(action, manager.actor, what, manager.tenant, details=details)
        self._ports.audit.write(act)


def _password(shown: str) -> str:
    """Return the password of a header.  Raises Denied."""
    scheme, _, encoded = shown.partition(" ")
    try:
        if scheme.lower() != "basic" or len(encoded) > _HEADER_MAX_CHARS:
            raise Denied("the header Authorization must be `Basic` and a name and an API key")
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError) as error:
        raise Denied("the header Authorization is no base64 of a name and an API key") from error
