"""The cloud's side of services as a whole: a list comes, an image is fetched, the service runs and is told."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from edge_agent.adapters.artifact_fetch import ArtifactSource
from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.adapters.memory_artifacts import MemoryArtifactSource
from edge_agent.adapters.services_cloud import CloudServices, Fetching, known_grpc_url
from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.guard import Guard
from fairway.clock import ManualClock
from fairway.control import ServiceList, ServiceOrder, service_sync_id
from fairway.errors import Unavailable
from fairway.services.manifest import service_to_json
from fairway.services.model import Service
from fairway.services.states import Status
from tests.small_image import HERE, small_image

IMAGE = small_image(b"#!/bin/sh\n")
MQTT = Address("mqtts", "cloud.example", 8883, Path("ca"), Path("certificate"), Path("key"))
GRPC = replace(MQTT, scheme="grpcs", port=8443)


class Supervisor:
    """Wants what it is told, and lacks the image until somebody brings it."""

    def __init__(self) -> None:
        self.revision, self.wanted = "", list[Service]()
        self.images_missing: frozenset[str] = frozenset()

    async def apply(self, services, *, source, retry=False, replace=False, revision=None) -> None:
        del source, retry, replace
        self.wanted, self.revision = list(services), revision or ""
        self.images_missing = frozenset(one.image for one in services)

    def images_changed(self) -> None:
        self.images_missing = frozenset()

    def statuses(self) -> list[Status]:
        return []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Shelf:
    """Takes in what it is given."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def holds(self, digest: str) -> bool:
        return digest in self.taken

    async def take(self, path: Path, digest: str | None = None) -> tuple[str, ...]:
        assert digest is not None
        assert (path / "index.json").exists()
        self.taken.append(digest)
        return (digest,)


def told(url: str) -> ServiceList:
    text = service_to_json(Service(name="one", version="1", image=IMAGE.digest))
    return ServiceList(3, (ServiceOrder(service_sync_id(text), text),), url)


async def test_an_ordered_service_gets_its_image_from_where_the_cloud_says(tmp_path: Path):
    asked: list[Address] = []

    def opened(where: Address) -> ArtifactSource:
        asked.append(where)
        return MemoryArtifactSource(IMAGE.blobs)

    supervisor, shelf = Supervisor(), Shelf()
    fetching = Fetching(tmp_path, MQTT, HERE, opened=opened)
    cloud = CloudServices(cast(Any, supervisor), shelf, MemoryKept(), ManualClock(), fetching)
    running = asyncio.create_task(cloud.run())
    await cloud.orders.order(told("grpcs://files.example:9443"))
    async with asyncio.timeout(20):
        while supervisor.images_missing:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])

    assert shelf.taken == [IMAGE.digest]
    assert {(one.scheme, one.host, one.port, one.key) for one in asked} == {
        ("grpcs", "files.example", 9443, MQTT.key)
    }
    assert cloud.orders.revision == 3


async def test_why_an_image_is_not_here_is_told_of_its_service(tmp_path: Path):
    fetching = Fetching(tmp_path, MQTT, HERE, opened=lambda _: MemoryArtifactSource({}))
    supervisor, shelf = Supervisor(), Shelf()
    cloud = CloudServices(cast(Any, supervisor), shelf, MemoryKept(), ManualClock(), fetching)
    service = Service(name="one", version="1", image=IMAGE.digest)
    assert cloud.hints(service) == ()

    running = asyncio.create_task(cloud.run())
    await cloud.orders.order(told("grpcs://files.example:9443"))
    async with asyncio.timeout(20):
        while not cloud.hints(service):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])

    (sentence,) = cloud.hints(service)
    assert sentence.startswith("its image is not here: ")


def where(target: Address, said: str = "", known: str = "") -> Address:
    found: list[Address] = []

    def opened(address: Address) -> ArtifactSource:
        found.append(address)
        return MemoryArtifactSource({})

    Fetching(Path("x"), target, HERE, known_url=known, opened=opened).source(said)
    return found[0]


def test_a_vehicle_fetches_where_it_is_told_else_where_it_knows_else_over_its_uplink():
    assert where(MQTT, "grpcs://a:1", "grpcs://b:2").host == "a"
    assert where(MQTT, "", "grpcs://b:2").host == "b"
    assert where(GRPC) == GRPC
    assert where(GRPC, "grpcs://a").port == 8443


@pytest.mark.parametrize(
    ("target", "said", "sentence"),
    [
        (MQTT, "", "has not said a gRPC address"),
        (MQTT, "mqtts://a:1", "no gRPC address"),
        (MQTT, "grpc://a:1", "in the clear"),
        (MQTT, "nonsense", "not the URL of a cloud"),
        (replace(GRPC, guard=Guard(hosts=("*.example",))), "grpcs://evil.test:1", "not a host of"),
    ],
)
def test_it_goes_nowhere_that_its_uplink_would_not_go(target: Address, said: str, sentence: str):
    with pytest.raises(Unavailable, match=sentence):
        where(target, said)


def test_without_an_identity_nothing_was_noted():
    assert known_grpc_url(None) == ""
