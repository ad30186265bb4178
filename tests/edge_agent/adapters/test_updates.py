"""Orders carried out while something fails: each ends wholly old or wholly new, and says why."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.installer_memory import MemoryInstaller
from edge_agent.adapters.updates import Updates
from edge_agent.updates.conditions import Facts
from edge_agent.updates.order import Consent
from edge_agent.updates.ports import Health, Verdict
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.update import Fault, Stage
from tests.edge_agent.updates.releases import SERIALS, bytes_of, plan_of, sha256
from tests.edge_agent.updates.vehicle_rig import PARKED, Vehicle, run, vehicle_with


@pytest.fixture
def vehicle(tmp_path: Path) -> Vehicle:
    return vehicle_with(1, tmp_path)


def versions(vehicle: Vehicle) -> set[int | str]:
    return set(vehicle.versions().values())


def last(vehicle: Vehicle):
    return vehicle.memory.read().done[-1]


# one of five fails


@pytest.mark.parametrize("serial", SERIALS)
@pytest.mark.parametrize("method", ["check", "prepare", "activate"])
def test_each_ecu_of_five_fails_in_turn_and_all_return(vehicle: Vehicle, serial: str, method: str):
    failing = MemoryInstaller(bytes_of(serial, 1))
    failing.refuses[method] = BadInput(f"{serial} does not want it")
    vehicle.instead[serial] = failing

    run(vehicle.install(plan_of(2)))

    assert failing.active == sha256(bytes_of(serial, 1))
    others = {name: one for name, one in vehicle.versions().items() if name != serial}
    assert set(others.values()) == {1}
    done = last(vehicle)
    assert (done.fault, done.ecu, done.sentence) == (
        Fault.INSTALL,
        serial,
        f"{serial} does not want it",
    )
    assert [(one.serial, one.version) for one in vehicle.memory.read().bad] == [(serial, "2.0.0")]


def test_an_ecu_that_does_not_answer_is_waited_for_and_is_no_reason_never_to_try_again(
    vehicle: Vehicle,
):
    silent = MemoryInstaller(bytes_of("maps", 1))
    silent.refuses["activate"] = Unavailable("nobody answers")
    vehicle.instead["maps"] = silent

    run(vehicle.install(plan_of(2)))

    done = last(vehicle)
    assert (done.stage, done.fault) == (Stage.ROLLED_BACK, Fault.CONDITION)
    assert done.sentence == "nobody answers (tried 3 times)"
    assert vehicle.memory.read().bad == ()


def test_a_way_back_that_fails_is_tried_until_it_works(vehicle: Vehicle):
    stubborn = MemoryInstaller(bytes_of("maps", 1))
    stubborn.verdict = Verdict(Health.ILL, "it is ill")
    stubborn.refuses["rollback"] = Unavailable("not now")
    vehicle.instead["maps"] = stubborn

    async def carry() -> int:
        agent = vehicle.agent()
        await agent.take(await vehicle.order(plan_of(2, ["maps"]), agent))
        tries = 0
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))
            tries += 1
            if tries == 20:
                assert agent.standing.waits_for == ("maps 2.0.0 is not brought back yet: not now",)
                del stubborn.refuses["rollback"]
        return tries

    assert run(carry()) == 20
    assert stubborn.active == sha256(bytes_of("maps", 1))
    assert last(vehicle).stage is Stage.ROLLED_BACK


# health


def test_what_is_well_late_but_in_time_is_kept(vehicle: Vehicle):
    vehicle.checks.verdict = Verdict(Health.NOT_YET, "no signal comes yet")

    async def carry() -> None:
        agent = vehicle.agent()
        await agent.take(await vehicle.order(plan_of(2, ["maps"]), agent))
        seconds = 0.0
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))
            seconds += wait_s
            if seconds > 15:
                vehicle.checks.verdict = Verdict(Health.WELL)

    run(carry())
    assert last(vehicle).stage is Stage.COMMITTED


def test_what_is_never_well_goes_back_and_says_why(vehicle: Vehicle):
    vehicle.checks.verdict = Verdict(Health.NOT_YET, "no signal comes", log="bus off")

    run(vehicle.install(plan_of(2)))

    assert versions(vehicle) == {1}
    done = last(vehicle)
    assert (done.stage, done.fault, done.log) == (Stage.ROLLED_BACK, Fault.HEALTH, "bus off")
    assert done.sentence == "it was not well within 20 s: no signal comes"


def test_what_is_well_only_now_and_then_is_not_kept(vehicle: Vehicle):
    class Flickering:
        count = 0

        async def look(self) -> Verdict:
            self.count += 1
            return Verdict(Health.WELL if self.count % 2 else Health.NOT_YET, "it flickers")

    vehicle.checks = Flickering()  # type: ignore[assignment]

    run(vehicle.install(plan_of(2)))

    assert versions(vehicle) == {1}


def test_a_system_that_does_not_start_leaves_its_log_and_is_never_tried_again(vehicle: Vehicle):
    vehicle.unbootable.add(sha256(bytes_of("gateway", 2)))

    run(vehicle.install(plan_of(2)))

    assert versions(vehicle) == {1}
    done = last(vehicle)
    assert (done.ecu, done.log, done.fault) == ("gateway", "kernel panic", Fault.HEALTH)
    assert vehicle.memory.read().events[-1].log == "kernel panic"
    again = replace(plan_of(2), action="again", director_version=9)
    with pytest.raises(AssertionError, match="it is not tried again"):
        run(vehicle.install(again))
    run(vehicle.install(plan_of(3)))
    assert versions(vehicle) == {3}


# orders


def test_an_order_that_comes_twice_is_one(vehicle: Vehicle):
    run(vehicle.install(plan_of(2)))
    before = vehicle.memory.read()

    run(vehicle.install(plan_of(2)))

    assert vehicle.memory.read() == before


def test_of_two_orders_at_once_one_wins(vehicle: Vehicle):
    async def both() -> None:
        agent = vehicle.agent()
        await agent.take(await vehicle.order(plan_of(2, ["maps"]), agent))
        with pytest.raises(Conflict, match="to-2 is under way"):
            await agent.take(await vehicle.order(plan_of(3, ["maps"]), agent))

    run(both())


async def begun(vehicle: Vehicle, **install: object) -> Updates:
    agent = vehicle.agent()
    await agent.take(await vehicle.order(plan_of(2, ["maps"], **install), agent))
    return agent


def test_an_order_is_withdrawn_while_that_costs_nothing_and_not_later(vehicle: Vehicle):
    vehicle.facts = Facts()

    async def withdraw() -> None:
        agent = await begun(vehicle)
        await agent.carry()
        assert await agent.withdraw("the cloud has taken it back")
        await agent.carry()
        assert agent.kept.order is None
        assert agent.kept.done[-1].fault is Fault.CANCELLED
        assert not await agent.withdraw("again")

    run(withdraw())


def test_what_does_not_come_to_its_conditions_is_given_up_one_day(vehicle: Vehicle):
    vehicle.facts = replace(PARKED, speed_km_h=50.0)

    async def wait() -> None:
        agent = await begun(vehicle)
        await agent.carry()
        assert agent.standing.waits_for == ("the vehicle moves at 50 km/h",)
        vehicle.clock.advance(31 * 86_400 * NS_PER_S)
        await agent.carry()
        assert agent.kept.done[-1].fault is Fault.CONDITION

    run(wait())
    assert vehicle.versions()["maps"] == 1


def test_who_drives_off_after_the_preparation_is_not_updated_on_the_way(vehicle: Vehicle):
    class DrivesOff(MemoryInstaller):
        async def prepare(self, *args: object) -> None:
            await super().prepare(*args)  # type: ignore[arg-type]
            vehicle.facts = replace(PARKED, speed_km_h=50.0)

    maps = vehicle.instead["maps"] = DrivesOff(bytes_of("maps", 1))

    async def drive() -> None:
        agent = await begun(vehicle)
        await agent.carry()
        assert agent.standing.waits_for == ("the vehicle moves at 50 km/h",)
        assert isinstance(maps, MemoryInstaller)
        assert maps.active == sha256(bytes_of("maps", 1))
        vehicle.facts = PARKED
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))
        assert agent.kept.done[-1].stage is Stage.COMMITTED

    run(drive())


# the driver


def test_the_driver_is_asked_and_says_yes(vehicle: Vehicle):
    async def ask() -> None:
        agent = await begun(vehicle, needs_consent=True)
        await agent.carry()
        assert agent.asks_driver
        assert agent.kept.events[-1].stage is Stage.CONSENT
        await agent.consent(Consent.ACCEPTED)
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))
        assert agent.kept.done[-1].stage is Stage.COMMITTED

    run(ask())


def test_the_driver_says_no_and_that_is_for_good(vehicle: Vehicle):
    async def ask() -> None:
        agent = await begun(vehicle, needs_consent=True)
        await agent.carry()
        await agent.consent(Consent.DECLINED)
        await agent.carry()
        done = agent.kept.done[-1]
        assert (done.stage, done.fault) == (Stage.FAILED, Fault.CONSENT)
        assert agent.kept.bad == ()
        with pytest.raises(BadInput, match="no update that could be accepted"):
            await agent.consent(Consent.ACCEPTED)

    run(ask())


def test_the_driver_postpones_and_an_agent_that_starts_anew_knows(vehicle: Vehicle):
    async def ask() -> None:
        agent = await begun(vehicle, needs_consent=True)
        await agent.carry()
        await agent.consent(Consent.POSTPONED, postpone_s=600)
        agent = vehicle.agent()
        await agent.resume()
        await agent.carry()
        assert agent.standing.waits_for == ("the driver has postponed it, for 10 minutes yet",)

    run(ask())
