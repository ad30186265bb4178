"""Who speaks at the device door: the vehicle whose certificate TLS has checked.

    certificate (beside the request: server.py) > vehicle, region > the fleet: registered, with it > in

Rule 1: one place decides, as at the gRPC door; a certificate that is revoked is let in nowhere.
Rule 2: a vehicle without a certificate is a matter of foreign protocols, which have tokens.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Request

from fairway import log as logs
from fairway.errors import BadInput, Denied
from fleet_cloud.api.device.ports import DevicePorts, Peer

log = logs.get("fleet_cloud.updates")

# Where in the scope of a request (its `state`) the certificate is, as DER.
CERTIFICATE = "peer_certificate"


def certificate_of(request: Request) -> bytes:
    """Return the certificate that was shown, as DER; empty: none was."""
    found = request.scope.get("state", {}).get(CERTIFICATE)
    return found if isinstance(found, bytes) else b""


def peer_of(ports: DevicePorts, request: Request) -> Peer | None:
    """Return the vehicle that speaks, None when it shows no certificate.  Raises Denied."""
    certificate = certificate_of(request)
    if not certificate:
        return None
    try:
        vehicle, sha256 = ports.shown(certificate)
    except BadInput as error:
        raise Denied(str(error)) from error
    member = ports.members().get(vehicle)
    if member is None or not member.shows(sha256):
        log.warning("vehicle_denied", vehicle=vehicle, certificate=sha256[:16], door="updates")
        raise Denied(f"the vehicle {vehicle} is not registered, or not with this certificate")
    return Peer(vehicle, member.tenant, sha256)


def may_go_on(ports: DevicePorts, peer: Peer) -> bool:
    """Return whether a vehicle that was let in still is."""
    member = ports.members().get(peer.vehicle)
    return member is not None and (not peer.sha256 or member.shows(peer.sha256))


def peer_needed(ports: DevicePorts, request: Request) -> Peer:
    """Return the vehicle that speaks.  Raises Denied."""
    found = peer_of(ports, request)
    if found is None:
        raise Denied(
            "this is for vehicles: show the certificate that the vehicle was enrolled with"
        )
    return found


def key_of(request: Request) -> ec.EllipticCurvePublicKey | None:
    """Return the key by which a vehicle proved who it is; None for a certificate of another kind of key."""
    key = x509.load_der_x509_certificate(certificate_of(request)).public_key()
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None
