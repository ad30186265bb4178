"""What every store of rollouts promises, from a wish to the last vehicle: in memory, SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.errors import BadInput, Conflict, Denied, Tampered
from fairway.update import Fault, Stage
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_updates import MemoryDatabase
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.decide import SCAN_EVERY_NS
from fleet_cloud.rollouts.records import verify_export
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.rollouts_kit import BUNDLE, NEW, NOW, OLD, REGION, TENANT, Kit, image

S = 1_000_000_000
WAVES = [{"name": "first", "percent": 20}, {"name": "all"}]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    if request.param == "memory":
        database: Database = MemoryDatabase()
    else:
        is_file = request.param == "sqlite"
        url = (
            sqlite_url(tmp_path / "r.sqlite")
            if is_file
            else request.getfixturevalue("postgres").url()
        )
        database = Database(url, REGION)
    made = Kit(database)
    made.release(purpose="brakes are better in winter")
    yield made
    database.close()


def fleet(kit: Kit, count: int = 10) -> None:
    for number in range(count):
        kit.vehicle(f"V{number}")


def test_a_rollout_comes_back_as_it_was(kit: Kit):
    kept = kit.rollout(
        state="AWAITING_APPROVAL", waves=WAVES, windows=[{"from": "22:00", "to": "05:00"}]
    )

    assert kit.again(kept) == kept
    assert kit.updates.rollouts.rollout([TENANT], kept.id) == kept
    assert kit.updates.rollouts.rollout(["other"], kept.id) is None
    assert kit.updates.rollouts.rollout(None, "0" * 16) is None


def test_lists_are_newest_first_and_go_on_behind_a_place(kit: Kit):
    made = []
    for _ in range(3):
        kit.now += 1
        made.append(kit.rollout(state="DRAFT"))

    assert kit.updates.rollouts.rollouts() == made[::-1]
    assert kit.updates.rollouts.rollouts(tenants=["other"]) == []
    after = f"{made[2].created_time_ns}/{made[2].id}"
    assert kit.updates.rollouts.rollouts(after=after, limit=1) == [made[1]]


def test_its_author_does_not_approve_it(kit: Kit):
    kept = kit.rollout(state="AWAITING_APPROVAL")

    with pytest.raises(Denied, match="somebody else approves it"):
        kit.desk.approve(kept, actor="user:ann", now_ns=NOW)
    assert kit.again(kept) == kept
    mine = kit.desk_of(self_approval=True).approve(kept, actor="user:ann", now_ns=NOW)
    assert mine.approved_by == "user:ann"


def test_of_two_who_act_on_the_same_the_second_is_told(kit: Kit):
    kept = kit.rollout(state="READY")
    kit.desk.start(kept, actor="user:bob", now_ns=NOW)

    with pytest.raises(Conflict, match="somebody else has just changed"):
        kit.desk.start(kept, actor="user:bob", now_ns=NOW)


def test_a_release_that_is_not_there_cannot_be_rolled_out(kit: Kit):
    with pytest.raises(BadInput, match="is no release of acme"):
        kit.rollout(bundle="bundles/summer.json")


def test_waves_go_one_after_the_other_and_each_vehicle_counts_once(kit: Kit):
    fleet(kit)
    kept = kit.rollout(waves=WAVES)
    kit.run()
    first = sorted(set(kit.told))
    assert (len(first), kit.waves(kept)) == (2, ["OFFERING", "SCHEDULED"])

    kit.tell(first[0], Stage.COMMITTED)
    kit.run()
    assert kit.waves(kept) == ["OFFERING", "SCHEDULED"]  # 100 % is both of them
    action = kit.offered(first[1])
    kit.tell(first[1], Stage.COMMITTED)
    kit.tell(first[1], Stage.COMMITTED, sequence=11, action=action)  # said again
    kit.run()

    assert kit.waves(kept) == ["PASSED", "OFFERING"]
    counts = kit.updates.rollouts.counts(kept)
    assert (counts[0].committed, counts[0].total, counts[1].open) == (2, 2, 8)


def test_a_finished_rollout_has_all_its_vehicles(kit: Kit):
    fleet(kit, 3)
    kept = kit.rollout()
    kit.run()
    for name in ("V0", "V1", "V2"):
        kit.tell(name, Stage.COMMITTED)
    kit.run()

    assert kit.again(kept).state == "FINISHED"
    assert set(kit.stages(kept).values()) == {"committed"}


def test_too_many_failures_pause_it_and_who_has_not_begun_is_offered_nothing(kit: Kit):
    fleet(kit, 6)
    gate = {"failure_percent": 20, "failure_sample_min": 2, "success_percent": 50}
    kept = kit.rollout(waves=[{"name": "all", "gate": gate}])
    kit.run()
    kit.tell("V0", Stage.ROLLED_BACK, fault=Fault.HEALTH)
    kit.tell("V1", Stage.COMMITTED)
    kit.tell("V2", Stage.DOWNLOADING)
    kit.run()

    assert (kit.again(kept).state, kit.waves(kept)) == ("PAUSED", ["FAILED"])
    assert "1 of 2 vehicles of all failed" in kit.again(kept).why
    assert kit.offered("V3") == ""
    begun = kit.updates.offers.offer(TENANT, "V2", kit.now)
    assert begun is not None
    assert not begun.window_open

    kit.desk.resume(kit.again(kept), actor="user:bob", now_ns=kit.now)
    kit.run()
    assert (kit.again(kept).state, kit.waves(kept)) == ("RUNNING", ["OFFERING"])
    assert kit.offered("V3")


def test_a_safety_failure_stops_it_at_once_before_any_worker_looks(kit: Kit):
    fleet(kit, 4)
    kept = kit.rollout()
    kit.run()
    kit.tell("V1", Stage.DOWNLOADING)
    kit.tell(
        "V0", Stage.FAILED, fault=Fault.SAFETY, ecu="V0-b"
    )  # an ECU says it, not yet the vehicle

    other = kit.updates.offers.offer(TENANT, "V1", kit.now)
    assert other is not None
    assert other.is_cancelled
    kit.run()
    assert kit.again(kept).state == "STOPPED"
    assert kit.again(kept).why == "V0: so"


def test_who_has_begun_to_install_when_it_is_stopped_finishes(kit: Kit):
    fleet(kit, 3)
    kept = kit.rollout()
    kit.run()
    kit.tell("V0", Stage.INSTALLING, sequence=5)
    kit.desk.stop(kit.again(kept), "no", actor="user:bob", now_ns=kit.now)

    cancelled = {
        name: offer.is_cancelled
        for name in ("V0", "V1")
        if (offer := kit.updates.offers.offer(TENANT, name, kit.now))
    }
    assert cancelled == {"V0": False, "V1": True}
    kit.tell("V1", Stage.FAILED, fault=Fault.CANCELLED)
    kit.tell("V0", Stage.COMMITTED)
    assert kit.offered("V1") == ""
    counts = kit.updates.rollouts.counts(kept)[0]
    assert (counts.committed, counts.declined, counts.open) == (1, 1, 1)


def test_what_may_work_later_is_tried_again_after_a_while_and_only_so_often(kit: Kit):
    fleet(kit, 1)
    kept = kit.rollout(retries={"network": {"tries": 1, "first_wait_s": 60}})
    kit.run()
    first = kit.offered("V0")
    kit.tell("V0", Stage.FAILED, fault=Fault.NETWORK)

    kit.run(seconds=59)
    assert kit.offered("V0") == ""
    kit.run(seconds=2)
    second = kit.offered("V0")
    assert (first, second) == (f"{kept.id}-1", f"{kept.id}-2")
    kit.tell("V0", Stage.FAILED, fault=Fault.NETWORK)
    kit.run(seconds=86_400)
    assert kit.stages(kept) == {"V0": "failed"}


def test_a_version_that_failed_in_a_vehicle_is_never_offered_to_it_again(kit: Kit):
    fleet(kit, 2)
    kept = kit.rollout(waves=[{"name": "all", "gate": {"success_percent": 0}}])
    kit.run()
    kit.tell("V0", Stage.ROLLED_BACK, fault=Fault.HEALTH)
    kit.tell("V1", Stage.FAILED, fault=Fault.CANCELLED)
    running = kit.again(kept)
    _, count = kit.desk.retry(running, actor="user:bob", now_ns=kit.now)
    assert count == 1  # V1 alone
    kit.run()
    again = kit.rollout(name="again")
    kit.run(seconds=1)

    standing = {
        one.vehicle: one.held for one in kit.updates.rollouts.vehicles(again) if one.vehicle == "V0"
    }
    assert "failed in it before" in standing["V0"]
    assert kit.offered("V0") == ""


def test_late_joiners_enter_the_last_wave(kit: Kit):
    fleet(kit, 5)
    kept = kit.rollout(waves=WAVES)
    kit.run()
    kit.vehicle("V9")
    kit.run(seconds=SCAN_EVERY_NS / S + 1)

    waves = {one.vehicle: one.wave for one in kit.updates.rollouts.vehicles(kept)}
    assert waves["V9"] == 1


def test_a_filter_names_its_wave_and_one_that_means_nobody_pauses(kit: Kit):
    fleet(kit, 3)
    kit.vehicle("T1", is_internal=True)
    kept = kit.rollout(waves=[{"name": "internal", "filter": "is_internal"}, {"name": "all"}])
    empty = kit.rollout(waves=[{"name": "internal", "filter": "nobody"}, {"name": "all"}])
    kit.run()

    assert kit.told == ["T1"]
    assert (kit.again(empty).state, kit.waves(empty)) == ("PAUSED", ["FAILED", "SCHEDULED"])
    assert "its filter means nobody" in kit.again(empty).why
    assert kit.again(kept).state == "RUNNING"


def test_a_rate_offers_so_many_a_minute_and_grows_with_success(kit: Kit):
    fleet(kit, 12)
    rate = {
        "baseRatePerMinute": 2,
        "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfSucceededThings": 2},
    }
    kit.rollout(waves=[{"name": "all", "rate": rate}])
    counts = []
    for _ in range(4):
        kit.run(seconds=30)
        counts.append(len(kit.told))
    assert counts == [0, 1, 2, 3]
    for name in kit.told:
        kit.tell(name, Stage.COMMITTED)
    kit.run(seconds=60)

    assert len(kit.told) == 3 + 4


def test_a_wave_soaks_and_telemetry_decides(kit: Kit):
    fleet(kit, 4)
    gate = {"soak_s": 3600, "health": "Vehicle.Brake.Wear < 50", "health_percent": 90}
    kept = kit.rollout(waves=[{"name": "first", "percent": 25, "gate": gate}, {"name": "all"}])
    kit.run()
    (name,) = kit.told
    kit.tell(name, Stage.COMMITTED)
    kit.run(seconds=10)
    assert kit.waves(kept)[0] == "SOAKING"
    kit.run(seconds=3600)
    assert kit.waves(kept)[0] == "SOAKING"  # silence is no health
    kit.values.known[name] = {"Vehicle.Brake.Wear": 80.0}
    kit.run(seconds=10)

    assert (kit.again(kept).state, kit.waves(kept)[0]) == ("PAUSED", "FAILED")
    assert "are not well" in kit.again(kept).why


def test_an_order_of_which_nothing_is_heard_has_failed_and_the_vehicles_word_still_counts(kit: Kit):
    fleet(kit, 1)
    kept = kit.rollout(silent_max_s=3600, retries={"time": {"tries": 0}})
    kit.run()
    action = kit.offered("V0")
    kit.tell("V0", Stage.INSTALLING, sequence=3)
    kit.run(seconds=3700)
    assert kit.stages(kept) == {"V0": "failed"}
    kit.tell("V0", Stage.COMMITTED, sequence=4, action=action)

    assert kit.stages(kept) == {"V0": "committed"}


def test_what_is_not_over_when_its_time_is_has_expired(kit: Kit):
    fleet(kit, 2)
    kept = kit.rollout(ends_after_s=3600)
    kit.run()
    kit.tell("V0", Stage.COMMITTED)
    kit.run(seconds=3601)

    assert kit.again(kept).state == "FINISHED"
    assert kit.stages(kept) == {"V0": "committed", "V1": "expired"}


def test_a_rollout_starts_by_itself_at_its_time(kit: Kit):
    fleet(kit, 1)
    kept = kit.rollout(state="READY", start_at_s=NOW // S + 60)
    kit.run()
    assert kit.again(kept).state == "READY"
    kit.run(seconds=61)

    assert kit.again(kept).state == "RUNNING"
    assert kit.told == ["V0"]


def test_a_vehicle_in_which_it_does_not_fit_is_held_and_looked_at_again(kit: Kit):
    needs = image(requires=())
    kit.release(needs)
    kit.vehicle("V0")
    kit.vehicle("V1", ecus=False)
    kit.vehicle("V2")
    kit.report("V2", NEW, 2)
    kept = kit.rollout()
    kit.run()

    held = {one.vehicle: one.held for one in kit.updates.rollouts.vehicles(kept) if one.held}
    assert list(held) == ["V1"]
    assert "has not told of its ECUs" in held["V1"]
    assert kit.stages(kept) == {"V0": "offered", "V1": "planned", "V2": "committed"}


def test_an_image_that_is_listed_no_more_is_offered_to_nobody(kit: Kit):
    fleet(kit, 2)
    kit.rollout()
    kit.run()
    assert kit.offered("V0")
    kit.repository.withdraw(TENANT, "brake/2.bin")

    assert kit.offered("V0") == ""


def test_a_vehicle_has_one_order_at_a_time(kit: Kit):
    fleet(kit, 1)
    first, second = kit.rollout(), kit.rollout(name="other", is_downgrade=True)
    kit.run()
    assert kit.stages(first) | kit.stages(second) == {"V0": "planned"}
    kit.tell("V0", Stage.COMMITTED)
    kit.run()

    assert kit.offered("V0") == f"{second.id}-1"


def test_two_workers_never_offer_the_same_twice(kit: Kit):
    fleet(kit, 8)
    kept = kit.rollout()
    other = kit.worker_of("two")
    for _ in range(3):
        kit.run()
        other.turn(kit.now)

    assert sorted(kit.told) == [f"V{number}" for number in range(8)]
    assert other.turn(kit.now + 31 * S) == 0  # the lease is over, and nothing is left to be done
    assert kit.updates.rollouts.counts(kept)[0].open == 8


def exported(kit: Kit, rollout: str) -> list[bytes]:
    return list(kit.updates.records.export(TENANT, rollout, kit.now))


def test_the_record_of_it_is_whole_and_says_what_was_where(kit: Kit):
    fleet(kit, 2)
    kept = kit.rollout()
    kit.run()
    kit.report("V0", NEW, 2, action=kit.offered("V0"))
    kit.tell("V0", Stage.COMMITTED)
    lines = exported(kit, kept.id)
    keys = {key_name(kit.signer.public_key()): kit.signer.public_key()}

    (proof,) = verify_export(lines, keys)
    text = b"".join(lines).decode()
    assert (proof.subjects, proof.series) == (3, kept.id)
    for said in ("brakes are better in winter", OLD, NEW, "user:ann", "user:bob", '"R79":"v3"'):
        assert said in text


@pytest.mark.parametrize("how", ["dropped", "changed", "exchanged", "cut"])
def test_a_record_that_was_touched_is_missed(kit: Kit, how: str):
    fleet(kit, 3)
    kept = kit.rollout()
    kit.run()
    lines = exported(kit, kept.id)
    at = max(n for n, line in enumerate(lines) if b'"what":"offered"' in line)
    match how:
        case "dropped":
            del lines[at]
        case "changed":
            lines[at] = lines[at].replace(b"brake/2.bin", b"brake/3.bin")
        case "exchanged":
            lines[at], lines[at - 1] = lines[at - 1], lines[at]
        case _:
            lines = lines[:-1]
    keys = {key_name(kit.signer.public_key()): kit.signer.public_key()}

    with pytest.raises(Tampered):
        list(verify_export(lines, keys))


def test_bundle_is_what_was_approved(kit: Kit):
    fleet(kit, 1)
    kept = kit.rollout(state="READY")
    again = {"purpose": kept.content.bundle.purpose}
    kit.release(image(counter=2, sha256="cc" * 32), **again)  # under the same names
    kit.desk.start(kept, actor="user:bob", now_ns=kit.now)
    kit.run()

    assert kit.offered("V0") == ""
    assert kit.updates.images.content(TENANT, BUNDLE).bundle_sha256 == kept.content.bundle_sha256
