"""The supervisor collects images: what runs and what would return stays, whatever else goes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters import overlay
from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.services import Services
from edge_agent.adapters.services_around import Around, Terms
from edge_agent.adapters.services_memory import MemoryDoors, MemoryProber
from edge_agent.services.instance import Instance
from edge_agent.services.records import instance_id
from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.oci import platforms
from fairway.services.model import Check, Command, Health, Runner, Service
from fairway.services.states import State
from ota.images import members
from ota.images.build import Planned, Recipe, Settings, build
from tests.containers import oci_yard
from tests.waiting import until
from tests.yards import BUSYBOX, SLEEPS, Yard, busybox_layer, open_oci

pytestmark = pytest.mark.slow

READY = Check(Command(("ready",)), interval_s=0.1)


class Folders(MemoryDoors):
    """Doors of which the folder is all there is."""

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        instance.sockets.mkdir(parents=True, exist_ok=True)
        os.chown(instance.sockets, instance.uid, instance.uid)
        return await super().open(instance)


class Vehicle:
    """Agents come and go in it; images, containers and records stay."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard, self.folder = yard, folder
        self.prober = MemoryProber()

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[tuple[Services, ImageStore]]:
        runtime = await open_oci(self.yard, "runc")
        images = ImageStore(self.folder / "images")
        around = Around(
            machines={Runner.CONTAINER: runtime},
            images=images,
            doors=Folders(),
            prober=self.prober,
            logs=self.yard.logs(),
            kept=KeptFiles(self.folder / "kept"),
            clock=SystemClock(),
        )
        services = Services(Terms(Places(self.folder / "s", self.yard.folder / "run")), around)
        running = asyncio.create_task(services.run())
        try:
            yield services, images
        finally:
            running.cancel()
            await asyncio.wait([running])
            await runtime.close()
            images.close()

    def built(self, version: str) -> tuple[Path, str]:
        """Return an image with a text of its own on top of layers that all versions share."""
        layer = busybox_layer(self.yard.folder)
        text = self.folder / version
        text.mkdir(parents=True)
        (text / "version").write_text(version)
        recipe = Recipe(
            tuple(
                Planned(members.members(members.Folder(path, at), epoch_s=0), at)
                for path, at in ((layer, "/"), (text, "/etc"))
            ),
            Settings(entrypoint=(BUSYBOX, "sh", "-c", SLEEPS)),
            platforms.of_machine("x86_64"),
        )
        made = build(recipe, self.folder / f"layout{version}", lambda _: None)
        return self.folder / f"layout{version}", made.digest

    def shows(self, service: Service) -> str:
        """Return what the root of a running instance has, read through its mount."""
        (at,) = [
            point
            for point, what in overlay.mounted().items()
            if what == service.image and instance_id(service) in str(point)
        ]
        return (at / "etc/version").read_text()


@pytest.fixture
async def vehicle(tmp_path: Path) -> AsyncIterator[Vehicle]:
    async with oci_yard(tmp_path / "yard") as yard:
        yield Vehicle(yard, tmp_path / "v")


def stands(services: Services, version: str, *, ready: bool = True) -> bool:
    (status,) = services.statuses()
    return status.state is State.RUNNING and status.version == version and status.is_ready is ready


async def test_what_runs_and_what_would_return_is_never_collected(vehicle: Vehicle):
    layouts = {version: vehicle.built(version) for version in ("1.0.0", "2.0.0", "3.0.0", "9.9.9")}
    health = Health(readiness=READY, within_s=60.0)
    one, two, three = (
        Service("one", version, image=layouts[version][1], health=health)
        for version in ("1.0.0", "2.0.0", "3.0.0")
    )
    async with vehicle.agent() as (services, images):
        for layout, _ in layouts.values():
            await images.take(layout)

        await services.apply([one])
        await until(lambda: stands(services, "1.0.0"))
        await services.collect_images()
        assert {held.digest for held in await images.list()} == {one.image}
        assert vehicle.shows(one) == "1.0.0"

        # A new version that is not healthy yet: the old one is what would return.
        await images.take(layouts["2.0.0"][0])
        vehicle.prober.answers["one 2.0.0"] = "not yet"
        await services.apply([two])
        await until(lambda: stands(services, "2.0.0", ready=False))
        await services.collect_images()
        assert {held.digest for held in await images.list()} == {one.image, two.image}
        assert vehicle.shows(two) == "2.0.0"

    # The agent is gone, its services run on; another one collects before it has done anything else.
    async with vehicle.agent() as (services, images):
        await services.collect_images()
        assert {held.digest for held in await images.list()} == {one.image, two.image}

        await services.apply([replace(two, health=replace(health, within_s=1.0))])
        await until(lambda: stands(services, "1.0.0"), within_s=60)
        assert vehicle.shows(one) == "1.0.0"

        # What comes next may go wrong, too; what was refused is not kept for ever.
        await images.take(layouts["3.0.0"][0])
        await services.apply([three])
        await until(lambda: stands(services, "3.0.0"))
        await services.collect_images()
        held = {held.digest for held in await images.list()}
        assert {one.image, three.image} <= held
        assert layouts["9.9.9"][1] not in held

        await services.remove("one")
        await until(lambda: not services.statuses())
        await services.collect_images()
        assert await images.list() == ()
        with pytest.raises(BadInput, match="not in this vehicle"):
            await images.root(three.image)
    assert [path.name for path in (vehicle.folder / "images/layers").iterdir()] == []
