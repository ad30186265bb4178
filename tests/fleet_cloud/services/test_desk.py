"""What vehicles are told of services, and what is kept of what they say."""

import json
from dataclasses import replace

from fairway.control import (
    FORBIDDEN_BY_VEHICLE,
    Answer,
    AnswerState,
    CheckIn,
    ExecuteInService,
    ServiceList,
    ServiceStatus,
)
from fairway.services.model import Service
from fairway.services.states import State, Sub
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.audit.acts import Outcome
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import Order, Vehicle
from fleet_cloud.control.targets import Facts, Target, TargetKind
from fleet_cloud.services.desk import ServiceDesk, ServiceStores
from fleet_cloud.services.ordering import Ordering

TENANTS = {"VIN1": "acme", "VIN2": "acme"}
VIN1, VIN2 = Vehicle("acme", "VIN1"), Vehicle("acme", "VIN2")


class Cloud:
    """A desk over stores in memory."""

    def __init__(self) -> None:
        self.registry, self.url = memory_registry(), ""
        self.ordering = Ordering(self.registry.services, MemoryAudit())
        self.begin()

    def begin(self) -> None:
        """Begin as a process does that knows nothing yet."""
        registry = self.registry
        self.fleets = Fleets(lambda: TENANTS)
        for name in TENANTS:
            self.fleets.put("acme", name, Facts({}, frozenset({"north"})))
        self.audit = MemoryAudit()
        stores = ServiceStores(
            registry.services,
            registry.lists,
            registry.service_statuses,
            registry.commands,
            self.audit,
        )
        self.desk = ServiceDesk(stores, self.fleets, lambda: self.url)

    def want(self, version: str, target: Target | None = None, name: str = "watch") -> list[Told]:
        """Desire a service of the fleet, and return what is pushed."""
        service = Service(name=name, version=version, image="sha256:" + "a" * 64)
        north = target or Target(TargetKind.FLEET, "north")
        self.ordering.apply("acme", service, north, actor="ann", now_ns=int(version))
        return self.pushed()

    def pushed(self) -> list[Told]:
        revision = self.registry.plan.changes(0).revision
        return self.desk.push(sorted(self.desk.refresh(revision)))

    def check_in(
        self, vehicle: Vehicle, revision: int | None, *services: ServiceStatus
    ) -> list[Told]:
        said = CheckIn("1", 1, services_revision=revision, services=services)
        return self.desk.heard([Heard(vehicle, said, 7)])


def versions(told: Told) -> list[str]:
    assert isinstance(told.noun, ServiceList)
    return [json.loads(one.manifest)["version"] for one in told.noun.services]


def revision(told: Told) -> int:
    assert isinstance(told.noun, ServiceList)
    return told.noun.revision


def test_a_vehicle_that_checks_in_is_sent_what_it_lacks_and_then_nothing():
    cloud = Cloud()
    assert cloud.want("1") == []  # nobody has said that it runs services
    (told,) = cloud.check_in(VIN1, 0)

    assert versions(told) == ["1"]
    assert cloud.check_in(VIN1, revision(told)) == []
    assert len(cloud.check_in(VIN1, 0)) == 1  # it lost it, and has it again


def test_a_vehicle_of_an_earlier_version_is_told_nothing_of_services():
    cloud = Cloud()
    cloud.want("1")
    assert cloud.check_in(VIN1, None) == []
    assert cloud.want("2") == []

    cloud.check_in(VIN1, 0)
    assert len(cloud.want("3")) == 1
    cloud.check_in(VIN1, None)  # its agent was put back
    assert cloud.want("4") == []


def test_what_changes_is_pushed_to_the_vehicles_that_run_services():
    cloud = Cloud()
    for vehicle in (VIN1, VIN2):
        cloud.check_in(vehicle, 0)

    told = cloud.want("1")
    assert {one.vehicle for one in told} == {VIN1, VIN2}
    assert all(one.is_ours for one in told)
    (again,) = cloud.want("2", Target(TargetKind.VEHICLE, "VIN2"))
    assert (again.vehicle, versions(again)) == (VIN2, ["2"])
    assert revision(again) > revision(told[1])
    assert cloud.pushed() == []


def test_nothing_desired_any_more_is_an_empty_list():
    cloud = Cloud()
    cloud.check_in(VIN1, 0)
    (told,) = cloud.want("1")
    (kept,) = cloud.registry.services.all_desired()
    cloud.ordering.remove(kept, actor="ann", now_ns=9)

    (empty,) = cloud.pushed()

    assert versions(empty) == []
    assert revision(empty) > revision(told)
    assert cloud.check_in(VIN1, revision(empty)) == []


def test_a_process_that_begins_anew_tells_no_vehicle_what_it_has():
    cloud = Cloud()
    cloud.check_in(VIN1, 0)
    (told,) = cloud.want("1")
    cloud.begin()

    again = cloud.pushed()

    assert [one.is_ours for one in again] == [False]  # only over a connection held here
    assert cloud.check_in(VIN1, revision(told)) == []


def test_another_address_of_artifacts_is_news():
    cloud = Cloud()
    cloud.want("1")
    (told,) = cloud.check_in(VIN1, 0)
    cloud.url = "grpcs://elsewhere:1"

    (again,) = cloud.check_in(VIN1, revision(told))

    assert isinstance(again.noun, ServiceList)
    assert again.noun.artifacts_url == "grpcs://elsewhere:1"


def test_what_a_vehicle_says_is_kept_and_of_several_check_ins_the_newest():
    cloud = Cloud()
    status = ServiceStatus("watch", "1", State.RUNNING, Sub.OK, is_ready=True)
    first = CheckIn("1", 1, services_revision=1, services=(status,))
    second = replace(first, services=(replace(status, is_ready=False),))
    cloud.desk.heard([Heard(VIN1, first, 7), Heard(VIN1, second, 8)])

    said = cloud.registry.service_statuses.said(VIN1)

    assert said is not None
    assert (said.received_time_ns, said.services[0].is_ready) == (8, False)


def test_what_a_vehicle_forbids_is_in_the_audit_log_once():
    cloud = Cloud()
    what = ExecuteInService("watch", ("/bin/sh",))
    cloud.registry.commands.add_command(Order("c1", VIN1, what, "user:eve", 1, 9))
    denied = Answer("c1", AnswerState.FAILED, FORBIDDEN_BY_VEHICLE, "allow_exec is false")

    cloud.desk.note_refusals([Heard(VIN2, denied, 7)])  # not asked
    cloud.desk.note_refusals([Heard(VIN1, replace(denied, id="c2"), 7)])  # nobody asked
    assert cloud.audit.acts == []
    cloud.desk.note_refusals([Heard(VIN1, denied, 7)])
    cloud.registry.commands.answered([(VIN1, denied)])
    cloud.desk.note_refusals([Heard(VIN1, denied, 8)])

    (act,) = cloud.audit.acts
    assert (act.action, act.actor, act.tenant) == ("vehicle.forbid", "vehicle:VIN1", "acme")
    assert act.outcome is Outcome.DENIED
    assert act.details["asked_by"] == "user:eve"
    assert act.details["why"] == "allow_exec is false"
