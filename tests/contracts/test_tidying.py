"""What tidying promises: what anything names stays, what nothing names goes, and only after a while."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts, MemoryHoldings
from fleet_cloud.adapters.registry_images import SqlHoldings, SqlNaming
from fleet_cloud.adapters.registry_repository import SqlImageRepository
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.artifacts.tidying import Holding, Shelves, names_in, unnamed
from ota.custom import bundle_to_json, image_to_target
from ota.manifest import Bundle, Kind
from ota.trust.model import Repository
from ota.tuf_library import TargetFile
from tests.ota.repository_simulator import DAY_NS, NOW_NS, RepositorySimulator, image
from tests.postgres import postgres  # noqa: F401 - a fixture

T = "acme"


class Written:
    """What a tenant has written down, in memory."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def texts(self, tenant: str) -> Iterator[bytes]:
        yield from self.said if tenant == T else ()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Rig:
    """Holdings over one registry, and bytes."""

    def __init__(self, database: Database | None) -> None:
        self.database = database
        self.store = MemoryArtifacts()
        self.written = Written()
        self.holdings = SqlHoldings(database, "eu") if database else MemoryHoldings()
        naming = SqlNaming(database, "eu") if database else self.written
        self.shelves = Shelves(self.holdings, naming, self.store, self.holdings.hold)

    def put(self, data: bytes, tenant: str = T, kept_ns: int = NOW_NS - 30 * DAY_NS) -> str:
        name = digest(data)
        self.store.kept[name] = data
        self.holdings.hold(tenant, name, len(data), kept_ns)
        return name

    def old(self) -> list[str]:
        return [one.digest for one in self.shelves.unnamed(T, NOW_NS)]

    def remove(self) -> list[str]:
        return [one.digest for one in self.shelves.remove(T, self.shelves.unnamed(T, NOW_NS))]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "memory":
        yield Rig(None)
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    database = Database(url, "eu")
    yield Rig(database)
    database.close()


def test_what_nothing_names_goes_and_what_came_lately_stays(rig: Rig):
    old = rig.put(b"old")
    rig.put(b"fresh", kept_ns=NOW_NS - DAY_NS)

    assert rig.old() == [old]
    assert rig.remove() == [old]
    assert set(rig.store.kept) == {digest(b"fresh")}
    assert rig.old() == []


def test_what_another_tenant_holds_stays_and_is_let_go(rig: Rig):
    name = rig.put(b"shared")
    rig.put(b"shared", tenant="other")

    assert rig.remove() == [name]
    assert rig.holdings.held(T, name) is None
    assert rig.holdings.held("other", name) == 6
    assert name in rig.store.kept


@pytest.mark.parametrize("rig", ["memory"], indirect=True)
def test_what_is_named_while_it_is_let_go_is_held_again(rig: Rig):
    name = rig.put(b"wanted after all")
    old = rig.shelves.unnamed(T, NOW_NS)
    rig.written.said.append(name.encode())  # somebody publishes

    assert rig.shelves.remove(T, old) == []
    assert rig.holdings.held(T, name) == 16
    assert name in rig.store.kept


@pytest.mark.parametrize("rig", ["memory"], indirect=True)
def test_documents_that_are_named_name_others(rig: Rig):
    layer = rig.put(b"layer")
    manifest = rig.put(json.dumps({"layers": [{"digest": layer}]}).encode())
    firmware = rig.put(b"\x7fELF" + digest(b"no document").encode())
    stray = rig.put(b"no document")
    rig.written.said += [manifest.encode(), firmware.encode()]

    assert rig.old() == [stray]


def test_metadata_that_is_served_names_what_it_lists(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "r.sqlite"), "eu")
    rig = Rig(database)
    sbom = rig.put(b'{"bomFormat": "CycloneDX"}')
    document = bundle_to_json(Bundle("b", "1", ("app/1",), sbom_sha256=(sbom[7:],)))
    stray, theirs = rig.put(b"stray"), RepositorySimulator(Repository.IMAGE)
    for one in (
        image("app/1", "app", 1, "gw", b"app"),
        image("b/1", "b", 1, "any", document, kind=Kind.BUNDLE),
    ):
        theirs.targets.targets[one.path] = TargetFile.from_dict(image_to_target(one), one.path)
    rig.put(b"app"), rig.put(document)
    theirs.publish()
    keeper = SqlImageRepository(database, "eu", rig.holdings.held)
    keeper.publish(T, dict(theirs.files), NOW_NS)

    assert rig.old() == [stray]
    database.close()


def test_names_are_found_wherever_they_stand():
    name = "ab" * 32
    text = f'{{"a": "sha256:{name}", "b": "x{"cd" * 32}.bin", "c": "{"0" * 65}"}}'.encode()

    assert names_in(text) == {f"sha256:{name}", f"sha256:{'cd' * 32}"}
    assert unnamed([Holding("sha256:x", 1, 0)], {"sha256:x"}, NOW_NS, 7) == []
