"""Reports of vehicles <-> signed JSON, in aktualizr's words where it has some.

    {"signed": {"primary_ecu_serial", "vehicle", "counter",
        "ecu_version_manifests": {SERIAL: {"signed": {"ecu_serial", "hardware_id",
            "installed_image": {"filepath", "fileinfo": {"length", "hashes": {"sha256"}}},
            "attacks_detected": "freeze,time", "timeserver_time", "previous_timeserver_time", "time_ns",
            "report_counter", "release_counter"},
            "signatures": [{"keyid", "method", "sig"}]}},
        "installation_report": {"correlationId"}, "capabilities": {"forms", "memory_max_bytes"}, "rxswin": {}},
     "signatures": [{"keyid", "method", "sig"}]}

Rule 1: an ECU signs for itself; for one that has no key the primary signs with the vehicle's, and it shows.
Rule 2: a report that is sent again is signed anew, with the next counter: the same counter twice is a replay.
Rule 3: whose signature it is, the key says that the cloud holds for that ECU; a key id is not believed.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from fairway.crypto import Signer
from fairway.errors import BadInput, Tampered
from fairway.ids import vehicle_id
from fairway.services.fields import Table
from ota.canonical import canonical, parsed_object
from ota.custom import NAME_MAX_CHARS, NUMBER_MAX, PATH_MAX_CHARS, named_pairs
from ota.report import EcuReport, Installed, VehicleReport
from ota.trust.model import Attack
from ota.tuf_library import Key, Signature, SSlibKey, UnverifiedSignatureError

REPORT_MAX_BYTES = 1 << 20
ECUS_MAX = 256
SIGNATURES_MAX = 16
FORMS_MAX = 16
RXSWIN_MAX = 256
VEHICLE = ""  # whose counter it is, among those of ECUs

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_MAX_NS = 253_402_300_799_999_999_999  # the last of the year 9999


@dataclass(frozen=True, slots=True)
class Verified:
    """A report whose signatures hold."""

    report: VehicleReport
    by_primary: frozenset[str]  # serials of ECUs for which the primary signed


def key_of(public_key: PublicKeyTypes) -> Key:
    """Return a key as metadata and reports name it.  Raises BadInput for a kind that is not known."""
    try:
        return SSlibKey.from_crypto(public_key)
    except ValueError as error:
        raise BadInput(f"this key cannot sign metadata: {error}") from error


def ecu_report_to_signed(report: EcuReport, signer: Signer) -> bytes:
    """Return what an ECU hands to the primary.  Raises BadInput, Unavailable."""
    return canonical(_signed(_ecu_said(report), signer))


def report_to_signed(
    report: VehicleReport, signer: Signer, signed_ecus: Mapping[str, bytes] | None = None
) -> bytes:
    """Return what the primary sends; it signs for ECUs without a report of their own in `signed_ecus`.

    Raises BadInput, Unavailable.
    """
    by_themselves = signed_ecus or {}
    manifests = {
        ecu.serial: (
            parsed_object(
                by_themselves[ecu.serial], "the ECU's report", most_bytes=REPORT_MAX_BYTES
            )
            if ecu.serial in by_themselves
            else _signed(_ecu_said(ecu), signer)
        )
        for ecu in report.ecus
    }
    said: dict[str, Any] = {
        "primary_ecu_serial": report.primary,
        "vehicle": report.vehicle,
        "counter": report.counter,
        "ecu_version_manifests": manifests,
    }
    if report.action:
        said["installation_report"] = {"correlationId": report.action}
    if report.forms or report.memory_max_bytes:
        forms, most = list(report.forms), report.memory_max_bytes
        said["capabilities"] = {"forms": forms, "memory_max_bytes": most}
    if report.rxswin:
        said["rxswin"] = dict(report.rxswin)
    return canonical(_signed(said, signer))


def report_from_bytes(signed: bytes) -> VehicleReport:
    """Return what a report says, NOT verified: for looking at only.  Raises BadInput."""
    top, _ = _envelope(parsed_object(signed, "the report", most_bytes=REPORT_MAX_BYTES), "")
    return _vehicle_report(top)


def verify_report(
    signed: bytes,
    vehicle_key: Key,
    ecu_keys: Mapping[str, Key],
    last_counters: Mapping[str, int],
) -> Verified:
    """Return a report whose signatures hold and whose counters have grown.

    `ecu_keys` has the keys of ECUs that sign for themselves, by serial; `last_counters` the last ones by
    serial, the vehicle's own under VEHICLE.

    Raises BadInput for what is no report, Tampered for what does not hold.
    """
    said = parsed_object(signed, "the report", most_bytes=REPORT_MAX_BYTES)
    top, signatures = _envelope(said, "")
    report = _vehicle_report(top)
    _check(said["signed"], signatures, vehicle_key, f"vehicle {report.vehicle}")
    by_primary = set()
    for ecu in report.ecus:
        manifest = top.values["ecu_version_manifests"][ecu.serial]
        _, own = _envelope(manifest, f"ecu_version_manifests.{ecu.serial}")
        key = ecu_keys.get(ecu.serial)
        if key is None:
            by_primary.add(ecu.serial)
        _check(manifest["signed"], own, key or vehicle_key, f"ECU {ecu.serial}")
    for serial, counter in _counters(report).items():
        last = last_counters.get(serial, -1)
        if counter <= last:
            whose = f"ECU {serial}" if serial else f"vehicle {report.vehicle}"
            raise Tampered(f"report {counter} of {whose} is played again: {last} was there before")
    return Verified(report, frozenset(by_primary))


def _counters(report: VehicleReport) -> dict[str, int]:
    return {VEHICLE: report.counter} | {ecu.serial: ecu.counter for ecu in report.ecus}


def _signed(said: dict[str, Any], signer: Signer) -> dict[str, Any]:
    key = key_of(signer.public_key())
    signature = signer.sign(canonical(said)).hex()
    return {
        "signed": said,
        "signatures": [{"keyid": key.keyid, "method": key.scheme, "sig": signature}],
    }


def _ecu_said(report: EcuReport) -> dict[str, Any]:
    time = _time_said(report.time_ns)
    said: dict[str, Any] = {
        "ecu_serial": report.serial,
        "hardware_id": report.hardware_id,
        "attacks_detected": ",".join(report.attacks),
        "timeserver_time": time,
        "previous_timeserver_time": time,
        "time_ns": report.time_ns,
        "report_counter": report.counter,
    }
    installed = report.installed
    if installed is not None:
        hashes = {"sha256": installed.sha256}
        said["installed_image"] = {
            "filepath": installed.path,
            "fileinfo": {"length": installed.length, "hashes": hashes},
        }
        said["release_counter"] = installed.release_counter
    return said


def _time_said(time_ns: int) -> str:
    if not 0 <= time_ns <= _TIME_MAX_NS:
        raise BadInput(f"{time_ns} ns is no time from 1970 to 9999")
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(_TIME)


def _envelope(said: object, at: str) -> tuple[Table, list[tuple[str, bytes]]]:
    """Return what is signed, and the signatures: key id and bytes."""
    if not isinstance(said, dict) or not isinstance(said.get("signed"), dict):
        raise BadInput(f"the report: {at or 'the top'}: is no signed object")
    table = Table(said, at, "the report")
    signatures = table.tables("signatures", _signature, most=SIGNATURES_MAX)
    return table.table("signed"), list(signatures)


def _signature(table: Table) -> tuple[str, bytes]:
    key, text = table.text("keyid", most=256), table.text("sig")
    table.taken("method")
    try:
        is_hex = re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text)
        return key, bytes.fromhex(text) if is_hex else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise table.wrong("sig", "is neither hexadecimal nor base64") from error


def _check(said: object, signatures: list[tuple[str, bytes]], key: Key, whose: str) -> None:
    text = canonical(said)
    for _, signature in signatures:
        try:
            key.verify_signature(Signature(key.keyid, signature.hex()), text)
        except UnverifiedSignatureError:
            continue
        return
    raise Tampered(f"the report of {whose} is not signed with its key")


def _vehicle_report(top: Table) -> VehicleReport:
    capabilities = top.table("capabilities")
    manifests = named_pairs(top, "ecu_version_manifests", most=ECUS_MAX)
    report = VehicleReport(
        vehicle=_named(top, "vehicle"),
        primary=top.text("primary_ecu_serial", most=NAME_MAX_CHARS),
        ecus=tuple(_ecu_report(serial, inner) for serial, inner in manifests),
        counter=_count(top, "counter"),
        action=_action(top.table("installation_report")),
        forms=capabilities.texts("forms", most=FORMS_MAX, chars=NAME_MAX_CHARS),
        memory_max_bytes=_count(capabilities, "memory_max_bytes"),
        rxswin={
            key: inner.text(key, most=NAME_MAX_CHARS)
            for key, inner in named_pairs(top, "rxswin", most=RXSWIN_MAX)
        },
    )
    if report.primary not in [ecu.serial for ecu in report.ecus]:
        raise top.wrong("primary_ecu_serial", f"{report.primary!r} does not report about itself")
    return report


def _named(top: Table, key: str) -> str:
    name = top.text(key, most=NAME_MAX_CHARS)
    try:
        return vehicle_id(name)
    except BadInput as error:
        raise top.wrong(key, str(error)) from error


def _action(report: Table) -> str:
    # aktualizr has it a level lower
    inner = report if "correlationId" in report else report.table("report")
    for key in ("correlationId", "correlation_id"):
        if key in inner:
            return inner.text(key, most=NAME_MAX_CHARS)
    return ""


def _ecu_report(serial: str, manifests: Table) -> EcuReport:
    said, _ = _envelope(manifests.taken(serial), f"{manifests.at}.{serial}")
    if said.text("ecu_serial", most=NAME_MAX_CHARS) != serial:
        raise said.wrong("ecu_serial", f"is not {serial!r:.80}, under which it stands")
    return EcuReport(
        serial=serial,
        hardware_id=said.text("hardware_id", "", most=NAME_MAX_CHARS),
        installed=_installed(said),
        counter=_count(said, "report_counter"),
        time_ns=_time_ns(said),
        attacks=_attacks(said),
    )


def _installed(said: Table) -> Installed | None:
    if "installed_image" not in said:
        return None
    image = said.table("installed_image")
    info = image.table("fileinfo")
    sha256 = info.table("hashes").text("sha256", most=64)
    if not _SHA256.fullmatch(sha256):
        raise info.wrong("hashes.sha256", "is no SHA-256: give 64 lower-case digits")
    return Installed(
        path=image.text("filepath", most=PATH_MAX_CHARS),
        length=info.whole("length", None, least=0, most=NUMBER_MAX),
        sha256=sha256,
        release_counter=_count(said, "release_counter"),
    )


def _time_ns(said: Table) -> int:
    if "time_ns" in said:
        return said.whole("time_ns", None, least=0, most=_TIME_MAX_NS)
    text = said.text("timeserver_time", _time_said(0), most=40)
    try:
        time = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise said.wrong(
            "timeserver_time", f"is {text!r:.60}; give 2026-11-29T22:30:00Z"
        ) from error
    return max(0, round(time.timestamp())) * 10**9


def _attacks(said: Table) -> tuple[Attack, ...]:
    found = said.taken("attacks_detected")
    listed = isinstance(found, list)
    text = "" if found in (None, "") or listed else said.text("attacks_detected", most=1024)
    words = said.texts("attacks_detected", most=64, chars=64) if listed else text.split(",")
    # Words that we do not know are other people's: they are not lost, the signed bytes are kept.
    known = {attack.value: attack for attack in Attack}
    return tuple(known[word] for word in dict.fromkeys(words) if word in known)


def _count(table: Table, key: str) -> int:
    return table.whole(key, 0, least=0, most=NUMBER_MAX)
