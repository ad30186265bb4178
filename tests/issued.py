"""Vehicles' certificates of a real authority, as files."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from fairway.clock import SystemClock
from fairway.identity import DEFAULT_TENANT, Kind
from fairway.signers import file
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.certificates import Certificate, Member


@dataclass(frozen=True)
class Keys:
    """What a vehicle needs to be let in, and what the registry keeps of it."""

    ca: Path
    certificate: Path
    key: Path
    record: Certificate


def keys_of(
    pki: FilePki,
    folder: Path,
    name: str,
    *,
    kind: Kind = Kind.VEHICLE,
    tenant: str = DEFAULT_TENANT,
    now_ns: int | None = None,
    life: dt.timedelta = dt.timedelta(days=90),
) -> Keys:
    """Issue a certificate for `name`, and write it into `folder` under a name of its own."""
    now_ns = SystemClock().now_ns() if now_ns is None else now_ns
    signer = file.fresh()
    issued = pki.issue(pki.identity(kind, tenant, name), signer.public_key(), now_ns, life)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{issued.record.number[:8]}"
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
    certificate.write_bytes(issued.certificate_pem)
    key.write_bytes(signer.pem())
    key.chmod(0o600)
    return Keys(pki.ca, certificate, key, issued.record)


def members_by(*keys: Keys) -> dict[str, Member]:
    """Return the fleet that is let in by exactly these."""
    found: dict[str, Member] = {}
    for one in keys:
        record = one.record
        known = found.get(record.vehicle, Member(record.vehicle, record.tenant))
        numbers, hashes = known.numbers | {record.number}, known.sha256s | {record.sha256}
        found[record.vehicle] = Member(record.vehicle, record.tenant, numbers, hashes)
    return found


def members_by_name(*vehicles: str) -> dict[str, Member]:
    """Return a fleet that is told by the names in its certificates."""
    return {name: Member(name, DEFAULT_TENANT, by_name=True) for name in vehicles}
