"""Who a vehicle is at the gRPC door, for all services behind it.

    client certificate > its common name, region > the fleet: registered, and with this certificate > in

Rule 1: one place decides; a certificate that is revoked is let in nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import grpc

from fairway import log as logs
from fairway.errors import BadInput, Denied
from fleet_cloud.adapters.peer_certificates import vehicle_shown
from fleet_cloud.vehicles.certificates import Member

log = logs.get("fleet_cloud.grpc")


class Context(Protocol):
    """What is used of a call's context; grpc's own class is not typed that far."""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]: ...

    async def abort(self, code: grpc.StatusCode, details: str) -> None: ...


class Admission:
    """Lets vehicles in, or ends their calls."""

    def __init__(self, members: Callable[[], Mapping[str, Member]], region: str, door: str) -> None:
        """`region` is whose vehicles are let in, empty for any; `door` is what the log calls this one."""
        self._members, self._region, self._door = members, region, door

    async def admit(self, context: Context) -> tuple[str, str]:
        """Return the vehicle and the hash of its certificate; who may not come in is told, and gone."""
        shown: Sequence[bytes] = context.auth_context().get("x509_pem_cert", ())
        try:
            vehicle, sha256 = vehicle_shown(shown[0] if shown else b"", region=self._region)
        except BadInput as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise  # for the type checker: abort does not return
        except Denied as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
            raise
        if not self.may_connect(vehicle, sha256):
            log.warning("vehicle_denied", vehicle=vehicle, certificate=sha256[:16], door=self._door)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, removed(vehicle))
        return vehicle, sha256

    def may_connect(self, vehicle: str, sha256: str) -> bool:
        """Return whether a vehicle may be connected with this certificate, now."""
        member = self._members().get(vehicle)
        return member is not None and member.shows(sha256)


def removed(vehicle: str) -> str:
    """Return what a vehicle is told that may not connect, or no longer."""
    return f"the vehicle {vehicle} is not registered, or not with this certificate"
