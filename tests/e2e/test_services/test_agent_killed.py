"""kill -9 of the agent leaves services running; the next one adopts them, and removes what it does not know."""

from pathlib import Path

import pytest

from tests.e2e.services_power import Vehicle, vehicle_in


@pytest.fixture
def vehicle(tmp_path: Path):
    with vehicle_in(tmp_path) as one:
        one.start()
        one.apply(one.service("1"), one.service("1", "two"))
        one.until("both services", lambda: one.versions() == ["one 1", "two 1"])
        one.until_ready()
        yield one


def test_services_run_on_without_the_agent_and_are_adopted_by_the_next(vehicle: Vehicle):
    before = vehicle.processes()

    vehicle.kill_agent()
    assert vehicle.processes() == before
    vehicle.start()
    vehicle.until_ready()

    assert vehicle.processes() == before  # the same processes: nothing was started anew
    assert [one["restarts"] for one in vehicle.listed() or []] == [0, 0]


def test_an_adopted_service_that_ends_is_started_again(vehicle: Vehicle):
    vehicle.kill_agent()
    vehicle.start()
    vehicle.until_ready()
    pid = next(pid for pid, said in vehicle.processes().items() if said == "one 1")

    vehicle.kill(pid)
    vehicle.until("the service again", lambda: vehicle.versions() == ["one 1", "two 1"])

    assert pid not in vehicle.processes()
    vehicle.until("a restart", lambda: vehicle.why()["restarts"] == 1)
    assert vehicle.why()["failures"] == 1


def test_what_ended_while_there_was_no_agent_is_started_again(vehicle: Vehicle):
    pid = next(pid for pid, said in vehicle.processes().items() if said == "two 1")
    vehicle.kill_agent()
    vehicle.kill(pid)
    vehicle.until("the end of two", lambda: vehicle.versions() == ["one 1"])

    vehicle.start()

    vehicle.until("two again", lambda: vehicle.versions() == ["one 1", "two 1"])


def test_what_the_next_agent_does_not_know_is_removed(vehicle: Vehicle):
    vehicle.kill_agent()
    (vehicle.folder / "services" / "kept" / "wanted").unlink()

    vehicle.start()

    vehicle.until("nothing", lambda: not vehicle.versions())
    assert vehicle.listed() == []
    vehicle.until("no rest of sockets", lambda: not list(vehicle.run_dir.iterdir()))


def test_an_agent_that_is_stopped_leaves_services_running_too(vehicle: Vehicle):
    before = vehicle.processes()
    assert vehicle.child is not None

    vehicle.child.terminate()

    assert vehicle.child.wait(30) == 0
    assert vehicle.processes() == before
