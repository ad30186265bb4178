"""What a vehicle is promised of the cloud's side of updates: one in memory, the device door over mutual TLS."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.update_memory import MemoryUpdateServer
from edge_agent.updates.fetching import Attacked
from edge_agent.updates.ports import Content, Metadata, Reports
from fairway.errors import BadInput, Denied, Tampered, Unavailable
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.ports import Offer
from ota.manifest import Blob, Bundle
from ota.registration import Registered
from ota.trust.model import Attack, Repository, Wanted
from tests.update_place import TENANT, VEHICLE, UpdatePlace, sha256, update_place

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CHUNK = 64 * 1024
DATA = b"".join(number.to_bytes(4, "big") for number in range(150_000))
HASHES = b"".join(bytes.fromhex(sha256(DATA[at : at + CHUNK])) for at in range(0, len(DATA), CHUNK))
BLOB = Blob(sha256(DATA), len(DATA), CHUNK, sha256(HASHES))


@dataclass
class Kit:
    """The three ports, and what stands behind them."""

    metadata: Metadata
    content: Content
    reports: Any
    place: UpdatePlace | None
    memory: MemoryUpdateServer | None

    def file(self, repository: Repository, name: str, data: bytes) -> None:
        if self.memory is not None:
            self.memory.files[repository, name] = data
        elif self.place is not None and repository is Repository.DIRECTOR:
            self.place.director.put(TENANT, VEHICLE, {name: data})
        elif self.place is not None:
            self.place.repository.publish(TENANT, {name: data}, 1)

    def blob(self, data: bytes) -> str:
        there = self.memory or self.place
        assert there is not None
        return there.put(data)

    @property
    def said(self) -> list[bytes]:
        if self.memory is not None:
            return self.memory.reports
        assert self.place is not None
        return [signed for _, _, signed in self.place.director.reports]

    def history(self, action: str) -> list[UpdateEvent]:
        if self.memory is not None:
            return [one for (of, _), one in sorted(self.memory.events.items()) if of == action]
        assert self.place is not None
        return list(self.place.offers.history(TENANT, VEHICLE, action))


@pytest.fixture(params=["memory", "https"])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    if request.param == "memory":
        memory = MemoryUpdateServer()
        yield Kit(memory, memory, memory, None, memory)
        return
    async with update_place(tmp_path / "cloud") as place:
        server = place.server()
        reports: Reports = server.reports
        yield Kit(server.metadata, server.content, reports, place, None)
        server.close()


async def test_metadata_comes_as_it_was_signed(kit: Kit):
    kit.file(Repository.DIRECTOR, "timestamp.json", b'{"signed": 1}')
    kit.file(Repository.IMAGE, "2.snapshot.json", b'{"signed": 2}')

    assert (
        await kit.metadata.get(Wanted(Repository.DIRECTOR, "timestamp.json", 99))
        == b'{"signed": 1}'
    )
    assert (
        await kit.metadata.get(Wanted(Repository.IMAGE, "2.snapshot.json", 13)) == b'{"signed": 2}'
    )


async def test_there_is_no_file_that_is_not_there(kit: Kit):
    assert await kit.metadata.get(Wanted(Repository.DIRECTOR, "9.root.json", 99)) is None
    assert await kit.metadata.get(Wanted(Repository.IMAGE, "9.root.json", 99)) is None


async def test_more_bytes_than_wanted_are_an_attack(kit: Kit):
    kit.file(Repository.IMAGE, "timestamp.json", bytes(100))

    with pytest.raises(Attacked, match="more than 99") as caught:
        await kit.metadata.get(Wanted(Repository.IMAGE, "timestamp.json", 99))
    assert caught.value.attack is Attack.ENDLESS_DATA


async def test_a_blob_comes_whole_and_verified(kit: Kit, tmp_path: Path):
    kit.blob(DATA), kit.blob(HASHES)

    took = await kit.content.fetch(BLOB, tmp_path / "image", most_bytes=None)

    assert (tmp_path / "image").read_bytes() == DATA
    assert len(DATA) <= took <= len(DATA) + len(HASHES)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["image"]


async def test_what_is_here_is_not_fetched_again(kit: Kit, tmp_path: Path):
    (tmp_path / "image").write_bytes(DATA)

    assert await kit.content.fetch(BLOB, tmp_path / "image", most_bytes=0) == 0


@pytest.mark.parametrize("begun", [1, CHUNK, CHUNK + 5, len(DATA) - 1, len(DATA)])
async def test_a_fetch_goes_on_after_what_lies_here(kit: Kit, tmp_path: Path, begun: int):
    kit.blob(DATA), kit.blob(HASHES)
    (tmp_path / "image.part").write_bytes(DATA[:begun])

    took = await kit.content.fetch(BLOB, tmp_path / "image", most_bytes=None)

    assert (tmp_path / "image").read_bytes() == DATA
    assert took <= len(DATA) - begun + len(HASHES)


async def test_what_lies_here_and_is_wrong_costs_its_chunk_and_what_follows(
    kit: Kit, tmp_path: Path
):
    kit.blob(DATA), kit.blob(HASHES)
    wrong = bytearray(DATA)
    wrong[3 * CHUNK + 7] ^= 1
    (tmp_path / "image.part").write_bytes(wrong)

    took = await kit.content.fetch(BLOB, tmp_path / "image", most_bytes=None)

    assert (tmp_path / "image").read_bytes() == DATA
    assert took <= len(DATA) - 3 * CHUNK + len(HASHES)


async def test_nothing_is_a_blob_too(kit: Kit, tmp_path: Path):
    kit.blob(b"")

    assert await kit.content.fetch(Blob(sha256(b""), 0), tmp_path / "none", most_bytes=0) == 0
    assert (tmp_path / "none").read_bytes() == b""


async def test_other_bytes_than_those_that_were_signed_are_refused_and_not_kept(
    kit: Kit, tmp_path: Path
):
    kit.blob(DATA)
    other = bytearray(DATA)
    other[-1] ^= 1
    name = sha256(bytes(other))
    if kit.memory is not None:
        kit.memory.blobs[name] = DATA
    else:
        assert kit.place is not None
        kit.place.put(bytes(other))
        kit.place.artifacts.kept[f"sha256:{name}"] = DATA  # type: ignore[attr-defined]

    with pytest.raises(Tampered):
        await kit.content.fetch(Blob(name, len(DATA)), tmp_path / "image", most_bytes=None)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


async def test_a_blob_that_costs_more_than_is_allowed_is_denied_before_it_costs(
    kit: Kit, tmp_path: Path
):
    kit.blob(DATA)

    with pytest.raises(Denied, match="may be taken"):
        await kit.content.fetch(
            Blob(sha256(DATA), len(DATA)), tmp_path / "image", most_bytes=len(DATA) - 1
        )
    assert not (tmp_path / "image").exists()


async def test_what_is_not_there_never_will_be(kit: Kit, tmp_path: Path):
    with pytest.raises(BadInput, match="404"):
        await kit.content.fetch(Blob("0" * 64, 7), tmp_path / "image", most_bytes=None)


async def test_reports_arrive_as_they_were_signed(kit: Kit):
    await kit.reports.report(b'{"signed": {}}')

    assert kit.said == [b'{"signed": {}}']
    with pytest.raises(BadInput):
        await kit.reports.report(b"\x00")


async def test_events_said_twice_count_once(kit: Kit):
    if kit.place is not None:
        kit.place.offers.put(TENANT, VEHICLE, Offer("a1", "r1", Bundle("b", "1", ()), ()))
    events = [
        UpdateEvent("a1", 1, 5, Stage.DOWNLOADING, percent=0),
        UpdateEvent("a1", 2, 6, Stage.INSTALLING, ecu="E1", sentence="writes"),
        UpdateEvent("a1", 3, 7, Stage.ROLLED_BACK, fault=Fault.HEALTH, log="Kernel panic\n"),
    ]
    await kit.reports.tell(events[:2])
    await kit.reports.tell(events[1:])
    await kit.reports.tell([])

    assert kit.history("a1") == events


async def test_ecus_are_registered(kit: Kit):
    ecus = (Registered("P", "gateway-2", is_primary=True), Registered("S", "bms-1", "PEM"))

    await kit.reports.register(ecus)

    if kit.place is not None:
        known = kit.place.director.ecus(TENANT, VEHICLE)
        assert [(one.serial, one.hardware_id, one.public_key, one.is_primary) for one in known] == [
            (one.serial, one.hardware_id, one.public_key, one.is_primary) for one in ecus
        ]
        with pytest.raises(Unavailable, match="accept"):
            await kit.reports.register(ecus[:1])


def test_the_data_has_a_chunk_that_is_not_full():
    assert len(DATA) % CHUNK
