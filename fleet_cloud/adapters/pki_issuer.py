"""Issues certificates of vehicles from the region's authorities, for the enrolment desk."""

import datetime as dt

from cryptography.hazmat.primitives.asymmetric import ec

from fairway.errors import BadInput, Unavailable
from fairway.identity import Kind
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.certificates import Certificate


class PkiIssuer:
    """Issues certificates that are good for `days`."""

    def __init__(self, pki: FilePki, days: int) -> None:
        self._pki = pki
        self._life = dt.timedelta(days=days)

    def __call__(
        self, tenant: str, vehicle: str, key: ec.EllipticCurvePublicKey, now_ns: int
    ) -> tuple[bytes, Certificate]:
        identity = self._pki.identity(Kind.VEHICLE, tenant, vehicle)
        try:
            issued = self._pki.issue(identity, key, now_ns, self._life)
        except BadInput as error:  # it is not the vehicle that has to change something
            raise Unavailable(f"the cloud cannot issue certificates now: {error}") from error
        return issued.certificate_pem, issued.record
