"""Every installer: what is prepared has no effect, what is active goes back, every call may come again."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge_agent.adapters.boot_simulated import SimulatedBoot
from edge_agent.adapters.flash_simulated import SimulatedFlash
from edge_agent.adapters.installer_container import ContainerInstaller
from edge_agent.adapters.installer_file import FileInstaller
from edge_agent.adapters.installer_memory import MemoryInstaller
from edge_agent.adapters.installer_slot import SlotInstaller
from edge_agent.adapters.installer_uds import UdsInstaller
from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.updates.ports import Health, Installer, Stored
from fairway.errors import BadInput, FairwayError, Tampered
from ota.trust.model import Assigned
from tests.edge_agent.updates.releases import assigned, bytes_of
from tests.edge_agent.updates.vehicle_rig import Supervisor


def _nobody(_label: str) -> None:
    pass


@dataclass
class Bench:
    """An installer, the ECU that it is for, and how that starts anew."""

    serial: str
    installer: Installer
    folder: Path
    restart: Callable[[], None] = lambda: None
    spoil: Callable[[], None] = lambda: None  # the next image is not kept as it is given
    parts: list[object] = field(default_factory=list)

    def image(self, version: int) -> Assigned:
        return assigned(self.serial, version)

    def stored(self, version: int) -> Stored:
        path = self.folder / f"{self.serial}.{version}"
        path.write_bytes(bytes_of(self.serial, version))
        return Stored(self.image(version).image, path)

    async def holds(self) -> str:
        return await self.installer.probe(self.image(1).ecu)

    async def installed(self, version: int) -> None:
        """Install a version the whole way."""
        token, image = f"token{version}", self.image(version)
        await self.installer.check(image)
        await self.installer.prepare(token, image, self.stored(version))
        if await self.installer.activate(token, image):
            self.restart()
        assert (await self.installer.verify(token, image)).health is Health.WELL
        assert not await self.installer.commit(token, image)


def memory(folder: Path) -> Bench:
    return Bench("maps", MemoryInstaller(), folder)


def file(folder: Path) -> Bench:
    return Bench("maps", FileInstaller(folder / "maps"), folder)


def slot(folder: Path) -> Bench:
    (folder / "slots").mkdir()
    boot = SimulatedBoot(folder / "boot.json", "a")
    slots = {one: folder / "slots" / one for one in ("a", "b")}
    bench = Bench("gateway", SlotInstaller(slots, boot, folder / "records"), folder)

    def restart() -> None:
        from edge_agent.adapters import boot_simulated  # noqa: PLC0415 - beside its only use
        from edge_agent.adapters.update_files import RealFiles  # noqa: PLC0415

        boot.booted = boot_simulated.start(RealFiles(), folder / "boot.json", "a")

    bench.restart = restart
    return bench


def container(folder: Path) -> Bench:
    return Bench("apps", ContainerInstaller("apps", Supervisor(_nobody), MemoryKept()), folder)


def two_banks(folder: Path) -> Bench:
    flash = SimulatedFlash(bytes_of("body", 0), banks=2)

    def spoil() -> None:
        flash.refused = hashlib.sha256(bytes_of("body", 2)).hexdigest()

    return Bench("body", UdsInstaller(flash, folder / "body"), folder, spoil=spoil)


def one_bank(folder: Path) -> Bench:
    (folder / "brake").mkdir()
    content = bytes_of("brake", 0)
    (folder / "brake" / f"{hashlib.sha256(content).hexdigest()}.bin").write_bytes(content)
    flash = SimulatedFlash(content)

    def spoil() -> None:
        flash.refused = hashlib.sha256(bytes_of("brake", 2)).hexdigest()

    return Bench("brake", UdsInstaller(flash, folder / "brake"), folder, spoil=spoil)


@pytest.fixture(params=[memory, file, slot, container, two_banks, one_bank])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made: Bench = request.param(tmp_path)
    return made


async def test_what_is_prepared_has_no_effect(bench: Bench):
    await bench.installed(1)

    await bench.installer.prepare("two", bench.image(2), bench.stored(2))

    assert await bench.holds() == bench.image(1).image.sha256


async def test_what_is_activated_is_in_force_and_well(bench: Bench):
    await bench.installed(1)

    await bench.installed(2)

    assert await bench.holds() == bench.image(2).image.sha256


async def test_what_is_rolled_back_is_as_it_was(bench: Bench):
    await bench.installed(1)
    await bench.installer.prepare("two", bench.image(2), bench.stored(2))
    if await bench.installer.activate("two", bench.image(2)):
        bench.restart()

    while await bench.installer.rollback("two", bench.image(2)):
        bench.restart()

    assert await bench.holds() == bench.image(1).image.sha256
    assert (await bench.installer.verify("one", bench.image(1))).health is not None


async def test_what_was_only_prepared_is_forgotten_by_a_rollback(bench: Bench):
    await bench.installed(1)
    await bench.installer.prepare("two", bench.image(2), bench.stored(2))

    assert not await bench.installer.rollback("two", bench.image(2))
    assert await bench.holds() == bench.image(1).image.sha256
    await bench.installed(3)
    assert await bench.holds() == bench.image(3).image.sha256


async def test_every_call_may_come_again(bench: Bench):
    await bench.installed(1)
    token, image = "two", bench.image(2)
    for _ in range(2):
        await bench.installer.prepare(token, image, bench.stored(2))
    needs = [await bench.installer.activate(token, image) for _ in range(2)]
    if needs[-1]:
        bench.restart()
    assert not await bench.installer.activate(token, image)
    for _ in range(2):
        assert not await bench.installer.commit(token, image)

    assert await bench.holds() == image.image.sha256


async def test_a_rollback_may_come_again_and_for_an_order_that_never_began(bench: Bench):
    await bench.installed(1)
    await bench.installer.prepare("two", bench.image(2), bench.stored(2))
    if await bench.installer.activate("two", bench.image(2)):
        bench.restart()
    while await bench.installer.rollback("two", bench.image(2)):
        bench.restart()

    assert not await bench.installer.rollback("two", bench.image(2))
    assert not await bench.installer.rollback("never", bench.image(3))
    assert await bench.holds() == bench.image(1).image.sha256


@pytest.mark.parametrize("make", [two_banks, one_bank])
async def test_what_is_not_kept_as_it_was_given_is_noticed_and_goes_back(
    make: Callable[[Path], Bench], tmp_path: Path
):
    bench = make(tmp_path)
    await bench.installed(1)
    bench.spoil()

    async def install() -> None:
        await bench.installer.prepare("two", bench.image(2), bench.stored(2))
        await bench.installer.activate("two", bench.image(2))

    with pytest.raises(Tampered, match="does not hold what was sent"):
        await install()
    assert not await bench.installer.rollback("two", bench.image(2))
    assert await bench.holds() == bench.image(1).image.sha256


async def test_a_slot_that_the_bootloader_left_is_ill_and_its_log_is_told(tmp_path: Path):
    bench = slot(tmp_path)
    await bench.installed(1)
    assert isinstance(bench.installer, SlotInstaller)

    async def last_log() -> str:
        return "panic: no root"

    bench.installer._last_log = last_log
    await bench.installer.prepare("two", bench.image(2), bench.stored(2))
    assert await bench.installer.activate("two", bench.image(2))
    bench.restart()
    bench.restart()  # once it was tried, and did not say that it is well

    verdict = await bench.installer.verify("two", bench.image(2))

    assert verdict.health is Health.ILL
    assert "went back to slot b" in verdict.sentence
    assert verdict.log == "panic: no root"


async def test_an_image_longer_than_its_source_never_gets_a_record(tmp_path: Path):
    bench = slot(tmp_path)
    stored = bench.stored(1)
    stored.path.write_bytes(b"cut")

    with pytest.raises(Tampered, match="ends after"):
        await bench.installer.prepare("one", bench.image(1), stored)
    assert await bench.holds() == ""


async def test_a_single_bank_whose_image_is_not_here_is_never_touched(tmp_path: Path):
    flash = SimulatedFlash(b"from the factory")
    installer = UdsInstaller(flash, tmp_path / "nothing")

    with pytest.raises(BadInput, match="could not be brought back"):
        await installer.check(assigned("brake", 1))


async def test_a_service_whose_manifest_names_another_image_is_refused(tmp_path: Path):
    bench = container(tmp_path)
    image = replace(bench.image(1).image, sha256="0" * 64)

    with pytest.raises(BadInput, match="what was signed is sha256:0000"):
        await bench.installer.check(replace(bench.image(1), image=image))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "inside/../../outside"])
async def test_a_tar_that_would_write_elsewhere_is_refused(tmp_path: Path, name: str):
    from tests.edge_agent.updates.releases import tar_of  # noqa: PLC0415

    bench = file(tmp_path)
    stored = bench.stored(1)
    stored.path.write_bytes(tar_of({name: b"x"}))

    with pytest.raises(FairwayError, match="outside of its folder"):
        await bench.installer.prepare("one", bench.image(1), stored)
    assert not (tmp_path / "outside").exists()


async def test_the_layers_of_a_service_are_here_before_anything_is_prepared(tmp_path: Path):
    pulled = list[str]()

    async def pull(digest: str) -> None:
        pulled.append(digest)

    supervisor = Supervisor(_nobody)
    installer = ContainerInstaller("apps", supervisor, MemoryKept(), pull)
    await installer.check(assigned("apps", 1))

    assert pulled == [f"sha256:{assigned('apps', 1).image.sha256}"]
    assert supervisor.wanted is None
