"""Which vehicle speaks hawkBit's DDI, and how it proves it.

    certificate                    of the vehicle itself, as everywhere at the device door
    Authorization: TargetToken     one vehicle's own
    Authorization: GatewayToken    any vehicle of the tenant, through a gateway that has it
    X-Controller-Id, X-Authority-1 what a proxy in front says of a certificate that it has checked

Rule 1: a vehicle belongs to the fleet whatever it shows; one that does not is refused like a wrong token.
Rule 2: a proxy is believed from its address only, and only about an authority that the tenant has named.
Rule 3: nobody is anonymous, and who guesses is slowed down, as at the API.
"""

import hashlib
import hmac

from fastapi import Request

from fairway.errors import Denied
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.device.admission import certificate_of, peer_of
from fleet_cloud.api.device.ports import Peer
from fleet_cloud.api.gate import client_of
from fleet_cloud.api.ports import NotSignedIn
from fleet_cloud.rollouts.foreign import settings
from fleet_cloud.rollouts.foreign.settings import TOKEN_MAX_CHARS

_REFUSED = "the vehicle is not registered, or this is not a token of it"


def admit(ports: HawkbitPorts, request: Request, tenant: str, controller: str) -> Peer:
    """Return the vehicle that speaks.  Raises NotSignedIn, TooOften, Unavailable."""
    if certificate_of(request):
        return _by_certificate(ports, request, tenant, controller)
    route = f"{request.method} DDI"
    shown = ", ".join(request.headers.getlist("authorization")).strip()
    if not shown and _is_proxy(ports, request):
        shown = f"proxy {_authority(request)}"
    if not shown:
        ports.gate.note_anonymous(route)
        raise NotSignedIn(
            "nobody speaks: show a client certificate, or a TargetToken or GatewayToken",
            is_wrong=False,
        )

    def prove() -> Peer:
        return _by_word(ports, request, tenant, controller, shown)

    # A token of a target is good for that one alone: what is remembered as good names it.
    told = f"{tenant}/{controller} {shown}"
    return ports.gate.proved(client_of(request), route, told, prove)


def token_hash(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _by_certificate(ports: HawkbitPorts, request: Request, tenant: str, controller: str) -> Peer:
    try:
        peer = peer_of(ports.device, request)
    except Denied as error:
        raise NotSignedIn(str(error), is_wrong=True) from error
    if peer is None or peer.vehicle != controller or not _is_tenant(tenant, peer.tenant):
        raise NotSignedIn(f"this certificate does not speak for {controller[:80]!r}", is_wrong=True)
    return peer


def _by_word(
    ports: HawkbitPorts, request: Request, tenant: str, controller: str, shown: str
) -> Peer:
    """Return who shows a word.  Raises Denied, Unavailable."""
    scheme, _, token = shown.partition(" ")
    token = token.strip()
    vehicle = ports.vehicles.vehicle(controller) if len(controller) <= TOKEN_MAX_CHARS else None
    is_there = vehicle is not None and vehicle.may_connect and _is_tenant(tenant, vehicle.tenant)
    if vehicle is None or not is_there or len(token) > 8 * TOKEN_MAX_CHARS:
        raise Denied(_REFUSED)
    of = vehicle.tenant
    match scheme.lower():
        case "targettoken":
            kept = ports.target(of, controller).token_sha256
            is_on = ports.setting(of, settings.TARGET_TOKENS)
            is_right = _is_token(kept, token)
        case "gatewaytoken":
            secret = ports.setting(of, settings.GATEWAY_KEY)
            is_on = ports.setting(of, settings.GATEWAY_TOKEN)
            is_right = _is_token(secret["sha256"] if secret else "", token)
        case "proxy" if _is_proxy(ports, request):
            believed = set(str(ports.setting(of, settings.AUTHORITY)).split(",")) - {""}
            is_on = ports.setting(of, settings.HEADER)
            # The proxy's word, whatever the client beyond it has put into Authorization.
            is_right = (
                request.headers.get("x-controller-id") == controller
                and _authority(request) in believed
            )
        case _:
            raise Denied("the header Authorization must be TargetToken or GatewayToken and a token")
    if not (is_on and is_right):
        raise Denied(_REFUSED)
    return Peer(controller, of)


def _is_token(kept_sha256: str, token: str) -> bool:
    is_same = hmac.compare_digest(kept_sha256 or "0" * 64, token_hash(token))
    return is_same and bool(kept_sha256)


def _is_tenant(asked: str, tenant: str) -> bool:
    # hawkBit's own name is DEFAULT, and clients are configured with it.
    return asked.lower() == tenant.lower()


def _is_proxy(ports: HawkbitPorts, request: Request) -> bool:
    return client_of(request) in ports.proxies and "x-controller-id" in request.headers


def _authority(request: Request) -> str:
    # hawkBit's proxies may number a chain of them; one that sets the first leaves the others to whoever asks.
    return request.headers.get("x-authority-1", "")
