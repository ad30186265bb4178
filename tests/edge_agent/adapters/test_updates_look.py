"""Looks for updates against two repositories: what is ordered is begun once, what is not trusted is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge_agent.adapters.installer_memory import MemoryInstaller
from edge_agent.adapters.trust_store import MemoryTrust
from edge_agent.adapters.update_memory import MemoryUpdateServer
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around, Limits
from edge_agent.adapters.updates_look import Cloud, Looks, raised
from edge_agent.adapters.updates_store import KeptInMemory
from edge_agent.updates.conditions import Facts, Terms
from edge_agent.updates.planner import Means
from edge_agent.updates.ports import Installer
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Tampered, Unavailable
from fairway.signers import file
from fairway.update import Fault, Stage, UpdateEvent
from ota.manifest import Install
from ota.report import VehicleReport
from ota.report_json import key_of, verify_report
from ota.trust.model import Attack, Repository, Wanted
from tests.edge_agent.updates.vehicle_rig import Checks, Machine, unpack
from tests.ota.repository_simulator import NOW_NS, World

SERIALS = ("gw-1", "br-1")


@dataclass
class Site:
    """A vehicle, its two repositories, and a cloud that may be away."""

    folder: Path
    world: World = field(default_factory=World)
    server: MemoryUpdateServer = field(default_factory=MemoryUpdateServer)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_NS))
    is_away: bool = False
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ecus = {one: MemoryInstaller() for one in SERIALS}
        self.key = file.fresh()
        self.trust = MemoryTrust(self.world.kept)
        self.memory = KeptInMemory()
        self.facts = Facts()
        self.open()

    def open(self) -> None:
        """Start the agent."""
        installers: dict[str, Installer] = dict(self.ecus)
        around = Around(
            memory=self.memory,
            machine=Machine(),
            installers=installers,
            content=self.server,
            checks=Checks(),
            unpack=unpack,
            facts=lambda: self.facts,
            means=Means,
            clock=self.clock,
            folder=self.folder,
            terms=Terms(conditions=()),
            limits=Limits(health_for_s=0.0, look_s=0.01),
            committed=lambda assigned: raised(self.trust, assigned),
        )
        self.updates = Updates(around)
        vehicle = self.world.vehicle
        cloud = Cloud(self, self, self.trust, vehicle, lambda: self.key)
        self.looks = Looks(self.updates, around, cloud)

    # the cloud

    async def get(self, wanted: Wanted) -> bytes | None:
        self._may()
        self.asked.append(f"{wanted.repository}/{wanted.name}")
        return self.world.file(wanted)

    async def report(self, signed: bytes) -> None:
        self._may()
        await self.server.report(signed)

    async def tell(self, events: Sequence[UpdateEvent]) -> None:
        self._may()
        await self.server.tell(events)

    async def register(self, ecus: Sequence[object]) -> None:
        self._may()
        await self.server.register(ecus)  # type: ignore[arg-type]

    def _may(self) -> None:
        if self.is_away:
            raise Unavailable("the cloud is away")

    # what happens

    def order(self, serial: str = "br-1", version: int = 2, **install: object) -> None:
        hardware = {one.serial: one.hardware_id for one in self.world.vehicle.ecus}[serial]
        content = f"{serial} {version}".encode()
        self.server.put(content)
        path = f"{serial}/{version}.bin"
        self.world.release(
            path,
            serial,
            version,
            hardware=hardware,
            content=content,
            install=Install(**install),  # type: ignore[arg-type]
        )
        self.world.orders_nothing()
        self.world.order(serial, path)
        self.world.publish()

    async def done(self) -> None:
        """Look, carry out, and look once more."""
        await self.looks.look()
        while (wait_s := await self.updates.carry()) is not None:
            self.clock.advance(round(max(wait_s, 0.01) * NS_PER_S))
        await self.looks.look()

    def reported(self) -> list[VehicleReport]:
        """Return all reports, verified."""
        key = key_of(self.key.public_key())
        return [verify_report(one, key, {}, {}).report for one in self.server.reports]

    def told(self) -> list[Stage]:
        return [one.stage for one in self.server.events.values()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_what_is_ordered_is_installed_told_and_reported(site: Site):
    site.order()

    await site.done()

    assert site.updates.kept.done[-1].stage is Stage.COMMITTED
    assert site.told()[0] is Stage.OFFERED
    assert site.told()[-1] is Stage.COMMITTED
    assert site.updates.kept.events == ()
    report = site.reported()[-1]
    installed = {one.serial: one.installed for one in report.ecus}
    assert installed["br-1"] is not None
    assert installed["br-1"].path == "br-1/2.bin"
    assert installed["br-1"].release_counter == 2
    assert [one.serial for one in site.server.ecus] == list(SERIALS)


async def test_the_release_counter_is_raised_when_it_is_kept_not_when_it_is_offered(site: Site):
    site.order()

    await site.looks.look()
    assert "br-1" not in site.trust.read().held
    await site.done()
    assert site.trust.read().held["br-1"].release_counter == 2


async def test_looking_again_changes_nothing(site: Site):
    site.order()
    await site.done()
    before, reports = site.updates.kept, len(site.server.reports)

    for _ in range(3):
        await site.looks.look()

    assert site.updates.kept == before
    assert len(site.server.reports) == reports


async def test_each_report_has_a_counter_of_its_own(site: Site):
    await site.looks.look()
    site.order()
    await site.done()

    counters = [one.counter for one in site.reported()]
    assert counters == sorted(set(counters))


async def test_an_order_that_is_taken_back_is_given_up(site: Site):
    site.order(conditions=("parked",))
    await site.looks.look()
    await site.updates.carry()
    site.world.orders_nothing()
    site.world.publish()

    await site.looks.look()
    await site.updates.carry()

    assert site.updates.kept.order is None
    assert site.updates.kept.done[-1].fault is Fault.CANCELLED


async def test_another_order_takes_the_place_of_one_that_waits(site: Site):
    site.order(conditions=("parked",))
    await site.looks.look()
    await site.updates.carry()
    site.order(version=3)
    carrying = asyncio.create_task(site.updates.run())

    await site.looks.look()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)

    order = site.updates.kept.order
    done = site.updates.kept.done
    assert [one.fault for one in done][:1] == [Fault.CANCELLED]
    assert order is None or order.tasks[0].assigned.image.version == "3"


async def test_what_is_not_trusted_is_told_as_an_attack_and_installs_nothing(site: Site):
    site.order()
    await site.done()
    site.clock.jump(400 * 86_400 * NS_PER_S)

    await site.looks.look()
    await site.looks.look()

    assert site.looks.refusals == 2
    assert site.looks.trouble.endswith("(freeze)")
    assert site.updates.kept.order is None
    report = site.reported()[-1]
    attacks = {one.serial: one.attacks for one in report.ecus}
    assert attacks["gw-1"] == (Attack.FREEZE,)
    assert site.updates.kept.events == ()


@pytest.mark.parametrize("repository", list(Repository))
async def test_what_was_never_published_is_no_attack_and_what_is_gone_is_one(
    site: Site, repository: Repository
):
    its = {Repository.DIRECTOR: site.world.director, Repository.IMAGE: site.world.images}[
        repository
    ]
    stamp = its.files.pop("timestamp.json")
    await site.looks.look()
    assert site.looks.trouble == f"nothing is published yet in the {repository} repository"
    assert (site.looks.refusals, site.updates.kept.attacks) == (0, ())

    its.files["timestamp.json"] = stamp
    await site.looks.look()
    assert site.looks.trouble == ""
    del its.files["timestamp.json"]
    await site.looks.look()
    attacks = {one.serial: one.attacks for one in site.reported()[-1].ecus}
    assert attacks["gw-1"] == (Attack.DROP_REQUEST,)


async def test_a_server_that_attacks_is_told_too(site: Site):
    async def endless(wanted: Wanted) -> bytes | None:
        raise Tampered(f"{wanted.name} has more bytes than it may")

    site.order()
    site.looks._cloud = replace(site.looks._cloud, metadata=_Metadata(endless))

    await site.looks.look()

    assert site.looks.refusals == 1
    assert site.updates.kept.order is None


class _Metadata:
    def __init__(self, get) -> None:
        self.get = get


async def test_an_event_that_the_cloud_never_takes_holds_up_nothing(site: Site):
    site.order()
    refused = list[Stage]()

    async def tell(events: Sequence[UpdateEvent]) -> None:
        if any(one.stage is Stage.INSTALLING for one in events):
            refused.extend(one.stage for one in events)
            raise BadInput("the cloud knows no such stage")
        await site.server.tell(events)

    site.tell = tell  # type: ignore[method-assign]
    await site.done()

    assert site.updates.kept.events == ()
    assert site.told()[-1] is Stage.COMMITTED
    assert Stage.INSTALLING not in site.told()
    assert refused[-1] is Stage.INSTALLING


async def test_a_cloud_that_is_away_loses_nothing(site: Site):
    site.order()
    await site.looks.look()
    site.is_away = True
    while (wait_s := await site.updates.carry()) is not None:
        site.clock.advance(round(max(wait_s, 0.01) * NS_PER_S))
    await site.looks.look()
    assert site.looks.trouble == "the cloud is away"
    assert site.updates.kept.events != ()

    site.open()  # the agent starts anew meanwhile
    site.is_away = False
    await site.looks.look()

    assert site.told()[-1] is Stage.COMMITTED
    sequences = [one.sequence for one in site.server.events.values()]
    assert sequences == list(range(1, len(sequences) + 1))
    assert site.looks.trouble == ""


async def test_what_was_verified_is_kept_when_the_line_breaks(site: Site):
    site.order()
    count = 0

    async def breaks(wanted: Wanted) -> bytes | None:
        nonlocal count
        count += 1
        if count > 4:
            raise Unavailable("the line broke")
        return site.world.file(wanted)

    before = site.trust.read()
    site.looks._cloud = replace(site.looks._cloud, metadata=_Metadata(breaks))
    await site.looks.look()

    assert site.looks.trouble == "the line broke"
    assert site.trust.read() != before


async def test_a_notice_is_heeded_and_kept(site: Site):
    await site.looks.heed("https://updates.example:8444", 7)
    await site.looks.heed("", 5)

    assert site.updates.kept.url == "https://updates.example:8444"
    assert site.updates.kept.notice == 7
    assert site.looks._is_due


async def test_what_cannot_be_fetched_for_its_cost_is_told_once(site: Site):
    site.order()
    site.looks._around = replace(
        site.looks._around, means=lambda: Means(is_metered=True, budget_bytes=0)
    )

    for _ in range(3):
        await site.looks.look()

    ends = [one for one in site.server.events.values() if one.stage.is_final]
    assert [one.fault for one in ends] == [Fault.BUDGET]
