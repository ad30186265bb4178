"""What every keeper of services promises: in memory, SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairway.control import ExecuteInService, FetchServiceLogs, ServiceDenial, ServiceStatus, What
from fairway.errors import Conflict
from fairway.services.model import Service
from fairway.services.states import State, Sub
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.control.ports import Order, Vehicle
from fleet_cloud.control.targets import Target, TargetKind
from fleet_cloud.services import life
from fleet_cloud.services.model import Kept, Said, content_of, desired_id
from fleet_cloud.services.ports import KeptImage
from tests.postgres import postgres  # noqa: F401 - a fixture

NOW = 1_780_000_000_000_000_000
VIN1, VIN2, OTHER = Vehicle("acme", "VIN1"), Vehicle("acme", "VIN2"), Vehicle("other", "VIN3")
IMAGE = "sha256:" + "a" * 64


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        yield memory_registry()
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def kept(name: str = "watch", tenant: str = "acme", fleet: str = "north") -> Kept:
    target = Target(TargetKind.FLEET, fleet)
    service = Service(name=name, version="1.0.0", image=IMAGE, tags=(("note", "é"),))
    return Kept(
        id=desired_id(tenant, name, target),
        tenant=tenant,
        name=name,
        target=target,
        state=life.State.IN_FORCE,
        created_time_ns=NOW,
        changed_time_ns=NOW,
        in_force=content_of(service, author="user:ann", now_ns=NOW),
    )


def test_what_is_desired_comes_back_as_it_was(registry: Registry):
    one = kept()
    waiting = replace(kept("other"), state=life.State.CHANGING, proposed=one.in_force)
    for some in (one, waiting):
        registry.services.add(some)

    assert registry.services.desired(["acme"], one.id) == one
    assert registry.services.desired(None, waiting.id) == waiting
    assert registry.services.desired(["other"], one.id) is None
    assert registry.services.desired(["acme"], "0" * 16) is None


def test_the_same_is_added_once_and_again_when_it_was_removed(registry: Registry):
    one = kept()
    registry.services.add(one)
    with pytest.raises(Conflict, match="somebody else"):
        registry.services.add(one)
    gone = replace(one, state=life.State.REMOVED, in_force=None, version=2)
    assert registry.services.change(gone)
    assert registry.services.desired(None, one.id) is None
    assert registry.services.all_desired() == []

    registry.services.add(one)

    assert registry.services.desired(None, one.id) == one


def test_of_two_who_change_the_same_the_second_is_told(registry: Registry):
    one = kept()
    registry.services.add(one)
    changed = replace(one, version=2, changed_time_ns=NOW + 1)

    assert registry.services.change(changed)
    assert not registry.services.change(changed)
    assert registry.services.desired(None, one.id) == changed


def test_lists_are_in_order_and_go_on_behind_a_place(registry: Registry):
    some = [kept("b"), kept("a", fleet="south"), kept("a"), kept("a", tenant="other")]
    for one in some:
        registry.services.add(one)
    by_place = sorted(some, key=lambda one: (one.tenant, one.name, one.id))

    assert registry.services.all_desired() == by_place
    assert registry.services.all_desired(tenants=["acme"]) == by_place[:3]
    assert registry.services.all_desired(tenants=[]) == []
    assert registry.services.all_desired(name="b") == [some[0]]
    first = by_place[0]
    after = f"{first.tenant}/{first.name}/{first.id}"
    assert registry.services.all_desired(after=after, limit=2) == by_place[1:3]


def test_whoever_follows_is_told_of_every_change_once(registry: Registry):
    begun = registry.plan.changes(0).revision
    one = kept()
    registry.services.add(one)
    first = registry.plan.changes(begun).revision
    gone = replace(one, state=life.State.REMOVED, in_force=None, version=2)
    registry.services.change(gone)
    second = registry.plan.changes(begun).revision

    assert begun < first < second
    assert registry.services.service_changes(begun, second).services == (gone,)
    assert registry.services.service_changes(begun, first).services == ()  # it is another since
    assert registry.services.service_changes(second, second).services == ()


def status(name: str, state: State = State.RUNNING, version: str = "1.0.0") -> ServiceStatus:
    return ServiceStatus(
        name,
        version,
        state,
        Sub.NONE,
        "because\0",
        is_ready=True,
        restarts=3,
        last_good="0.9",
        bad=("0.8", "0.7"),
        image=IMAGE,
        is_isolated=False,
    )


def test_what_a_vehicle_says_replaces_what_it_said(registry: Registry):
    said = registry.service_statuses
    said.note_services([Said(VIN1, 1, (status("a"), status("b")), NOW)], ())
    said.note_services([Said(VIN1, 2, (status("b", State.FAILED), status("b")), NOW + 1)], ())

    found = said.said(VIN1)

    assert found is not None
    assert (found.revision, found.received_time_ns) == (2, NOW + 1)
    assert [(one.name, one.state) for one in found.services] == [("b", State.RUNNING)]
    assert replace(found.services[0], why="") == replace(status("b"), why="")
    assert said.said(VIN2) is None


def test_what_a_service_was_denied_is_kept_with_its_status(registry: Registry):
    said = registry.service_statuses
    denials = (ServiceDenial("read", "Vehicle.Speed", 2**63, NOW, "it may\0 not"),)
    denied = replace(status("a"), denials=denials, denied=2**40)
    said.note_services([Said(VIN1, 1, (denied, status("b")), NOW)], ())

    found = said.said(VIN1)

    assert found is not None
    assert [(one.denials, one.denied) for one in found.services] == [(denials, 2**40), ((), 0)]
    assert [one.bad for one in found.services] == [("0.8", "0.7")] * 2
    (other,) = said.of_service("acme", "a")
    assert other.services[0].denials == denials


def test_a_vehicle_that_runs_no_services_any_more_is_forgotten(registry: Registry):
    said = registry.service_statuses
    said.note_services([Said(one, 1, (status("a"),), NOW) for one in (VIN1, VIN2, OTHER)], ())
    assert said.with_services([VIN1, VIN2, OTHER, Vehicle("acme", "VIN3")]) == {VIN1, VIN2, OTHER}

    said.note_services([], [VIN1])

    assert said.with_services([VIN1, VIN2]) == {VIN2}
    assert said.said(VIN1) is None
    assert [one.vehicle for one in said.of_service("acme", "a")] == [VIN2]


def test_a_service_is_found_in_all_vehicles_of_its_tenant(registry: Registry):
    said = registry.service_statuses
    some = [Vehicle("acme", f"VIN{number}") for number in range(5)]
    notes = [Said(one, 1, (status("a"), status("b")), NOW) for one in (*some, OTHER)]
    said.note_services(notes, ())
    said.note_services([Said(VIN1, 1, (status("a", State.FAILED, "2.0.0"),), NOW)], ())

    found = said.of_service("acme", "a", after="VIN1", limit=2)

    assert [one.vehicle.name for one in found] == ["VIN2", "VIN3"]
    assert [status.name for one in found for status in one.services] == ["a", "a"]
    assert said.counts("acme", "a") == {("1.0.0", "Running"): 4, ("2.0.0", "Failed"): 1}
    assert said.counts("acme", "none") == {}


def test_a_revision_that_no_list_has_is_bounded(registry: Registry):
    registry.service_statuses.note_services([Said(VIN1, 2**64 - 1, (), NOW)], ())

    found = registry.service_statuses.said(VIN1)
    assert found is not None
    assert found.revision == 2**62


def image(letter: str, tenant: str = "acme", name: str = "tyre") -> KeptImage:
    parts = ("sha256:" + "b" * 64, "sha256:" + "c" * 64)
    digest = "sha256:" + letter * 64
    return KeptImage(tenant, digest, parts, 10**10, "linux/amd64", name, "user:ann", NOW)


def test_images_are_listed_by_tenant_and_digest(registry: Registry):
    for one in (image("d"), image("a"), image("a", "other"), image("d", name="newer")):
        registry.images.add_image(one)

    assert registry.images.image("acme", image("d").digest) == image("d", name="newer")
    assert registry.images.image("other", image("d").digest) is None
    every = [image("a"), image("d", name="newer"), image("a", "other")]
    assert registry.images.images() == every
    assert registry.images.images(tenants=["other"]) == every[2:]
    after = f"acme/{image('a').digest}"
    assert registry.images.images(after=after, limit=1) == every[1:2]


@pytest.mark.parametrize("what", [FetchServiceLogs("a", 5), ExecuteInService("a", ("ls", "-l"), 3)])
def test_commands_to_services_are_kept_as_they_were(registry: Registry, what: What):
    order = Order("c1", VIN1, what, "user:ann", NOW, NOW + 1)
    registry.commands.add_command(order)

    assert registry.commands.command(["acme"], "c1") == order
    assert registry.commands.open_commands(NOW) == [order]
