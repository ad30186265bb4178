"""Who is told to look for updates, and when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fairway.control import CheckIn, UpdateNotice
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.rollouts.notices import NoticeDesk

V1, V2 = Vehicle("acme", "V1"), Vehicle("acme", "V2")
URL = "https://updates.example"


@dataclass
class World:
    """Orders and listeners by hand."""

    orders: list[tuple[int, str]] = field(default_factory=list)  # revision, vehicle
    takers: set[str] = field(default_factory=set)
    noted: int = 0

    def changed(self, after: int, until: int) -> list[tuple[str, str]]:
        return [("acme", name) for at, name in self.orders if after < at <= until]

    def holding(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        return {name for _, name in self.orders} & set(vehicles)

    def note_listening(self, said: Mapping[tuple[str, str], bool]) -> None:
        self.noted += 1
        for (_, name), is_taker in said.items():
            (self.takers.add if is_taker else self.takers.discard)(name)

    def listening(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        return self.takers & set(vehicles)


def desk_of(world: World) -> NoticeDesk:
    desk = NoticeDesk(world, world, lambda: URL)
    assert desk.refresh(5) == set()  # what was before is told at check-ins
    return desk


def check_in(desk: NoticeDesk, vehicle: Vehicle, revision: int | None) -> list[Told]:
    return desk.heard([Heard(vehicle, CheckIn("1", 1, updates_revision=revision), 1)])


def test_an_order_is_told_at_once_to_who_takes_notices_and_once():
    world = World(takers={"V1"})
    desk = desk_of(world)
    world.orders = [(6, "V1"), (6, "V2")]

    assert desk.refresh(6) == {V1, V2}
    assert desk.push([V1, V2]) == [Told(V1, UpdateNotice(URL, 6))]
    assert desk.push([V1, V2]) == []
    assert desk.refresh(6) == set()


def test_a_vehicle_that_comes_back_hears_of_the_order_that_it_holds():
    world = World(orders=[(3, "V1")])
    desk = desk_of(world)

    assert check_in(desk, V1, 0) == [Told(V1, UpdateNotice(URL, 5))]
    assert check_in(desk, V2, 4) == []
    assert check_in(desk, V1, None) == []


def test_who_was_never_told_where_updates_are_is_told_to_come_and_tell_of_its_ecus():
    desk = desk_of(World())

    assert check_in(desk, V1, 0) == [Told(V1, UpdateNotice(URL, 5))]
    assert check_in(desk, V1, 5) == []


def test_a_cloud_without_a_door_calls_nobody_to_it():
    desk = NoticeDesk(World(), World(), lambda: "")

    assert check_in(desk, V1, 0) == []


def test_who_says_nothing_of_updates_is_told_nothing_and_costs_no_row():
    world = World(orders=[(6, "V2")])
    desk = desk_of(world)
    check_in(desk, V2, None)
    desk.refresh(6)

    assert desk.push([V2]) == []
    assert world.noted == 0
    check_in(desk, V2, 0)
    check_in(desk, V2, 4)
    assert world.noted == 1


def test_a_push_that_failed_is_made_again():
    world = World(takers={"V1"})
    desk = desk_of(world)
    world.orders = [(6, "V1")]
    desk.refresh(6)
    known = world.takers
    world.takers = None  # type: ignore[assignment] # a registry that does not answer
    try:
        desk.push([V1])
    except TypeError:
        world.takers = known

    assert len(desk.push([V1])) == 1
