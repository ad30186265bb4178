"""What every Director promises: each vehicle is told its own, signed; and reports count when they hold."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from fairway.errors import BadInput, Conflict, Tampered
from fairway.signers import file
from fairway.update import Stage
from fleet_cloud.adapters.memory_updates import MemoryDatabase
from fleet_cloud.rollouts.director import FRESH_NS, LIFE_NS, signed_root
from fleet_cloud.rollouts.ports import RegisteredEcu
from tests.contracts.test_offers import kit_of
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.rollouts_kit import NEW, NOW, OLD, TENANT, VEHICLE_KEY, Kit, image

S = 1_000_000_000


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    made = (
        Kit(MemoryDatabase())
        if request.param == "memory"
        else kit_of(request.param, request, tmp_path)
    )
    made.release(image())
    made.vehicle("V1")
    yield made
    made.database.close()


def told(kit: Kit, name: str, vehicle: str = "V1") -> bytes:
    data = kit.updates.director.file(TENANT, vehicle, name, kit.now)
    assert data is not None, name
    return data


def targets(kit: Kit, vehicle: str = "V1") -> Targets:
    """What a vehicle is told, as it finds it: timestamp, snapshot, targets."""
    timestamp = Metadata[Timestamp].from_bytes(told(kit, "timestamp.json", vehicle))
    version = timestamp.signed.snapshot_meta.version
    snapshot = Metadata[Snapshot].from_bytes(told(kit, f"{version}.snapshot.json", vehicle))
    meta = snapshot.signed.meta["targets.json"]
    data = told(kit, f"{meta.version}.targets.json", vehicle)
    meta.verify_length_and_hashes(data)
    return Metadata[Targets].from_bytes(data).signed


def test_files_are_signed_for_tuf_by_the_keys_of_the_root(kit: Kit):
    root_keys = [file.fresh(), file.fresh(), file.fresh()]
    online = {
        role: getattr(kit.keys, role).signer.public_key()
        for role in ("targets", "snapshot", "timestamp")
    }
    kit.updates.director.put_root(TENANT, 1, signed_root(1, root_keys, 2, online, NOW), NOW)
    root = Metadata[Root].from_bytes(told(kit, "1.root.json"))

    root.verify_delegate("root", root)
    assert told(kit, "root.json") == told(kit, "1.root.json")
    assert kit.updates.director.file(TENANT, "V1", "2.root.json", NOW) is None
    for role in ("timestamp", "snapshot", "targets"):
        root.verify_delegate(role, Metadata.from_bytes(told(kit, f"{role}.json")))
    with pytest.raises(Conflict, match="root 1 already"):
        kit.updates.director.put_root(TENANT, 1, b"", NOW)


def test_a_vehicle_without_an_order_is_told_nothing_and_by_name(kit: Kit):
    said = targets(kit)

    assert said.targets == {}
    assert said.unrecognized_fields["custom"] == {"vehicle": "V1"}


def test_an_order_names_ecu_hardware_hash_and_counter(kit: Kit):
    kit.rollout()
    kit.run()
    said = targets(kit)

    assert said.unrecognized_fields["custom"]["correlationId"] == kit.offered("V1")
    target = said.targets["brake/2.bin"]
    assert (target.length, target.hashes) == (1002, {"sha256": NEW})
    assert target.unrecognized_fields["custom"] == {
        "ecuIdentifiers": {"V1-b": {"hardwareId": "brake-hw"}},
        "release_counter": 2,
    }


def test_a_deliberate_downgrade_says_so(kit: Kit):
    kit.report("V1", NEW, 2)
    old = image(counter=1, sha256=OLD)
    kit.release(old, path="bundles/back.json")
    held = kit.rollout(bundle="bundles/back.json")
    kit.run()
    assert kit.offered("V1") == ""
    (one,) = kit.updates.rollouts.vehicles(held)
    assert "would be a downgrade" in one.held

    kit.rollout(bundle="bundles/back.json", is_downgrade=True)
    kit.run()
    custom = targets(kit).targets["brake/1.bin"].unrecognized_fields["custom"]
    assert custom["downgrade"] is True


def test_what_has_not_changed_is_not_signed_anew_before_half_its_life(kit: Kit):
    first = told(kit, "timestamp.json")
    kit.now += LIFE_NS - FRESH_NS - S
    assert told(kit, "timestamp.json") == first
    kit.now += 2 * S

    assert told(kit, "timestamp.json") != first
    assert Metadata.from_bytes(told(kit, "timestamp.json")).signed.version == 2


def test_a_refresh_that_has_begun_ends_as_it_began(kit: Kit):
    told(kit, "timestamp.json")
    kit.rollout()
    kit.run()
    assert json.loads(told(kit, "1.targets.json"))["signed"]["targets"] == {}
    told(kit, "timestamp.json")

    assert kit.updates.director.file(TENANT, "V1", "1.targets.json", kit.now) is None
    assert json.loads(told(kit, "2.targets.json"))["signed"]["targets"] != {}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x.json",
        "0.root.json",
        "timestamp",
        "1.timestamp.json",
        "../root.json",
        "9.targets.json",
    ],
)
def test_there_is_no_file_of_another_name(kit: Kit, name: str):
    told(kit, "timestamp.json")

    assert kit.updates.director.file(TENANT, "V1", name, kit.now) is None


def test_an_order_that_is_cancelled_is_told_no_more(kit: Kit):
    kept = kit.rollout()
    kit.run()
    assert targets(kit).targets
    kit.desk.stop(kit.again(kept), "", actor="user:bob", now_ns=kit.now)

    assert targets(kit).targets == {}


def test_a_report_says_what_an_ecu_holds(kit: Kit):
    kit.report("V1", NEW, 2)
    states = {one.known.serial: one for one in kit.updates.ecus.states(TENANT, "V1")}
    held = states["V1-b"].installed

    assert held is not None
    assert (held.sha256, held.release_counter) == (NEW, 2)
    assert kit.updates.vehicles.rxswin(TENANT, "V1") == {"R79": "v3"}
    assert kit.updates.vehicles.all_rxswin(TENANT) == [("V1", {"R79": "v3"})]


def test_a_report_that_is_played_again_is_dropped_and_kept_as_evidence(kit: Kit):
    signed = kit.report("V1", NEW, 2)
    with pytest.raises(Tampered, match="played again"):
        kit.updates.director.report(TENANT, "V1", signed, NOW + 1, VEHICLE_KEY.public_key())

    ((time_ns, why, content),) = kit.updates.vehicles.evidence(TENANT, "V1")
    assert (time_ns, content) == (NOW + 1, signed)
    assert "played again" in why


def test_a_report_of_another_key_or_another_vehicle_does_not_hold(kit: Kit):
    signed = kit.signed("V1", NEW, 2)
    director = kit.updates.director
    with pytest.raises(Tampered, match="not signed with its key"):
        director.report(TENANT, "V1", signed, NOW, file.fresh().public_key())
    with pytest.raises(Tampered, match="V2 brings a report of V1"):
        director.report(TENANT, "V2", signed, NOW, VEHICLE_KEY.public_key())
    with pytest.raises(BadInput, match="not JSON"):
        director.report(TENANT, "V1", b"{", NOW, VEHICLE_KEY.public_key())
    held = {one.known.serial: one.installed for one in kit.updates.ecus.states(TENANT, "V1")}
    assert held["V1-b"] is not None
    assert held["V1-b"].sha256 == OLD


def test_a_vehicle_that_tells_of_its_ecus_by_its_first_report_is_known_by_it(kit: Kit):
    kit.vehicle("V7", ecus=False)
    with pytest.raises(BadInput, match="has to tell of its ECUs"):
        kit.updates.director.report(TENANT, "V7", kit.signed("V7", OLD, 1), NOW)
    kit.report("V7", OLD, 1)

    assert [one.serial for one in kit.updates.ecus.ecus(TENANT, "V7")] == ["V7-b", "V7-gw"]


def test_other_ecus_wait_for_a_person_and_meanwhile_nothing_is_offered(kit: Kit):
    ecus = kit.updates.ecus
    key = (
        file.fresh()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    other = [
        RegisteredEcu("V1-gw", "gateway-hw", is_primary=True),
        RegisteredEcu("V1-b", "brake-hw", key.decode()),
    ]
    kit.rollout()
    with pytest.raises(Conflict, match="somebody has to accept"):
        ecus.register(TENANT, "V1", other, NOW)
    kit.run()
    assert (kit.offered("V1"), targets(kit).targets) == ("", {})
    assert [one.vehicle for one in ecus.waiting([TENANT])] == ["V1"]

    ecus.accept(TENANT, "V1", "user:bob", NOW)
    kit.run()

    assert kit.offered("V1")
    assert ecus.waiting(None) == []
    with pytest.raises(Tampered, match="not signed with its key"):  # the ECU signs for itself now
        kit.report("V1", NEW, 2)
    with pytest.raises(Conflict, match="no ECUs of V1 wait"):
        ecus.accept(TENANT, "V1", "user:bob", NOW)


def test_a_report_of_an_unknown_ecu_is_evidence_and_waits(kit: Kit):
    kit.updates.ecus.register(
        TENANT, "V5", [RegisteredEcu("V5-gw", "gateway-hw", is_primary=True)], NOW
    )
    with pytest.raises(Tampered, match="other ECUs than are known"):
        kit.report("V5", OLD, 1)

    assert [one.vehicle for one in kit.updates.ecus.waiting([TENANT])] == ["V5"]


@pytest.mark.parametrize(
    ("ecus", "why"),
    [
        ([], "1 to 256 ECUs"),
        ([RegisteredEcu("a", "hw")], "its primary"),
        ([RegisteredEcu("a", "hw", is_primary=True)] * 2, "the same serial"),
        ([RegisteredEcu("", "hw", is_primary=True)], "no serial"),
        ([RegisteredEcu("a", "hw", "no key", is_primary=True)], "no public key"),
    ],
)
def test_ecus_that_cannot_be_are_refused(kit: Kit, ecus: list[RegisteredEcu], why: str):
    with pytest.raises(BadInput, match=why):
        kit.updates.ecus.register(TENANT, "V6", ecus, NOW)


def test_a_vehicle_that_tells_nothing_but_reports_has_committed_when_it_holds_it(kit: Kit):
    kept = kit.rollout()
    kit.run()
    kit.report("V1", NEW, 2, action=kit.offered("V1"))

    assert kit.stages(kept) == {"V1": "committed"}


def test_a_vehicle_that_is_installing_has_not_committed_by_its_report(kit: Kit):
    kept = kit.rollout()
    kit.run()
    action = kit.offered("V1")
    kit.tell("V1", Stage.VERIFYING)
    kit.report("V1", NEW, 2, action=action)

    assert kit.stages(kept) == {"V1": "verifying"}


def test_who_takes_notices_is_known(kit: Kit):
    listeners = kit.updates.vehicles
    listeners.note_listening({(TENANT, "V1"): True, (TENANT, "V2"): False})
    assert listeners.listening(TENANT, ["V1", "V2", "V3"]) == {"V1"}
    listeners.note_listening({(TENANT, "V1"): False})

    assert listeners.listening(TENANT, ["V1"]) == set()
