"""What a vehicle signs about itself."""

import base64
import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput, Tampered
from fairway.signers.file import fresh
from ota.canonical import canonical
from ota.report import EcuReport, Installed, VehicleReport
from ota.report_json import (
    VEHICLE,
    ecu_report_to_signed,
    key_of,
    report_from_bytes,
    report_to_signed,
    verify_report,
)
from ota.trust.model import Attack
from tests.ota.releases import json_values, sentence, vehicle_reports

CAR, BRAKE, OTHER = fresh(), fresh(), fresh()
CAR_KEY, BRAKE_KEY = key_of(CAR.public_key()), key_of(BRAKE.public_key())

GATEWAY = EcuReport("gw-1", "gateway", Installed("gw/3", 9, "ab" * 32, 3), 7, 10**18)
BRAKES = EcuReport("br-1", "brake", None, 4, 10**18, (Attack.FREEZE, Attack.TIME))
REPORT = VehicleReport("CAR1", "gw-1", (BRAKES, GATEWAY), 12, action="roll-1")


def signed_report(report: VehicleReport = REPORT) -> bytes:
    return report_to_signed(report, CAR, {"br-1": ecu_report_to_signed(BRAKES, BRAKE)})


@settings(max_examples=30)  # each signs several times
@given(vehicle_reports())
def test_a_report_survives_the_wire(report: VehicleReport):
    signed = report_to_signed(report, CAR)

    assert report_from_bytes(signed) == report
    assert verify_report(signed, CAR_KEY, {}, {}).report == report


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_no_report(garbage: bytes):
    with pytest.raises(BadInput):
        report_from_bytes(garbage)


@given(st.sampled_from(["vehicle", "counter", "ecu_version_manifests", "rxswin", "capabilities",
                        "installation_report", "primary_ecu_serial"]), json_values)  # fmt: skip
def test_garbage_in_a_report_is_a_report_or_a_sentence(key: str, value: object):
    said = json.loads(signed_report())
    said["signed"][key] = value

    assert "\n" not in sentence(lambda: report_from_bytes(json.dumps(said).encode()))


def test_ecus_sign_for_themselves_and_the_primary_for_the_others():
    verified = verify_report(signed_report(), CAR_KEY, {"br-1": BRAKE_KEY}, {})

    assert verified.report == REPORT
    assert verified.by_primary == {"gw-1"}


def test_the_primary_cannot_speak_for_an_ecu_that_has_a_key():
    by_primary = report_to_signed(REPORT, CAR)

    with pytest.raises(Tampered, match="ECU br-1 is not signed with its key"):
        verify_report(by_primary, CAR_KEY, {"br-1": BRAKE_KEY}, {})


def test_another_key_cannot_speak_for_the_vehicle():
    with pytest.raises(Tampered, match="vehicle CAR1 is not signed with its key"):
        verify_report(report_to_signed(REPORT, OTHER), CAR_KEY, {}, {})


@pytest.mark.parametrize("path", [("counter",), ("ecu_version_manifests", "gw-1", "signed")])
def test_a_changed_report_does_not_hold(path: tuple[str, ...]):
    said = json.loads(signed_report())
    inner = said["signed"]
    for part in path[:-1]:
        inner = inner[part]
    if path[-1] == "signed":
        inner["signed"]["report_counter"] += 1
    else:
        inner[path[-1]] += 1

    with pytest.raises(Tampered):
        verify_report(canonical(said), CAR_KEY, {"br-1": BRAKE_KEY}, {})


@pytest.mark.parametrize(
    ("last", "whose"),
    [({VEHICLE: 12}, "vehicle CAR1"), ({"br-1": 4}, "ECU br-1"), ({"gw-1": 70}, "ECU gw-1")],
)
def test_a_replayed_report_is_dropped(last: dict[str, int], whose: str):
    with pytest.raises(Tampered, match=f"of {whose} is played again"):
        verify_report(signed_report(), CAR_KEY, {"br-1": BRAKE_KEY}, last)


def test_a_report_that_grew_is_taken():
    last = {VEHICLE: 11, "br-1": 3, "gw-1": 6}

    assert verify_report(signed_report(), CAR_KEY, {"br-1": BRAKE_KEY}, last).report == REPORT


def test_a_report_of_aktualizr_is_read():
    """Its key ids are its own, signatures are base64, and attacks are a text."""
    secret = ed25519.Ed25519PrivateKey.generate()

    def signed(said: Mapping[str, object]) -> dict[str, object]:
        signature = base64.b64encode(secret.sign(canonical(said))).decode()
        return {
            "signed": said,
            "signatures": [{"keyid": "k", "method": "ed25519", "sig": signature}],
        }

    ecu = {
        "attacks_detected": "",
        "ecu_serial": "s1",
        "installed_image": {
            "filepath": "unknown",
            "fileinfo": {"hashes": {"sha256": "cd" * 32}, "length": 0},
        },
        "previous_timeserver_time": "1970-01-01T00:00:00Z",
        "timeserver_time": "1970-01-01T00:00:07Z",
        "report_counter": 2,
    }
    top = {
        "ecu_version_manifests": {"s1": signed(ecu)},
        "primary_ecu_serial": "s1",
        "vehicle": "CAR2",
        "installation_report": {"content_type": "x", "report": {"correlation_id": "urn:a"}},
    }

    found = verify_report(canonical(signed(top)), key_of(secret.public_key()), {}, {}).report

    assert found.action == "urn:a"
    assert found.ecus == (
        EcuReport("s1", "", Installed("unknown", 0, "cd" * 32), 2, 7_000_000_000),
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vehicle": "a/b"}, "is not a vehicle id"),
        ({"primary_ecu_serial": "gone"}, "does not report about itself"),
        ({"counter": -1}, "counter: is -1"),
        ({"ecu_version_manifests": {"x": 1}}, "ecu_version_manifests.x: is no signed object"),
    ],
)
def test_a_wrong_report_is_refused_with_its_place(change: dict[str, object], says: str):
    said = json.loads(signed_report())
    said["signed"] |= change

    with pytest.raises(BadInput) as refusal:
        report_from_bytes(canonical(said))
    assert says in str(refusal.value)
