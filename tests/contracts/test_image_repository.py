"""What whoever keeps Image repositories promises: what a vehicle would refuse is not published."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import MetaFile

from fairway.errors import BadInput, Conflict, Tampered
from fairway.signers import file as signers
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.registry_repository import VERSIONS_KEPT, SqlImageRepository
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.rollouts.freshness import renewed
from ota.custom import image_to_target
from ota.manifest import Image
from ota.trust.model import Repository
from ota.tuf_library import SSlibKey, TargetFile
from tests.ota.repository_simulator import DAY_NS, NOW_NS, RepositorySimulator, image
from tests.postgres import postgres  # noqa: F401 - a fixture

T = "acme"


class Kit:
    """A keeper, and what it believes to be here."""

    def __init__(self, url: str) -> None:
        self.held: dict[tuple[str, str], int] = {}
        self.database = Database(url, "eu")
        self.keeper = SqlImageRepository(
            self.database, "eu", lambda tenant, digest: self.held.get((tenant, digest))
        )

    def hold(self, one: Image, tenant: str = T) -> None:
        self.held[tenant, f"sha256:{one.sha256}"] = one.length


@pytest.fixture(params=["sqlite", "postgresql"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    made = Kit(url)
    yield made
    made.database.close()


@pytest.fixture
def theirs() -> RepositorySimulator:
    return RepositorySimulator(Repository.IMAGE)


ONE, TWO = image("app/1", "app", 1, "gw"), image("app/2", "app", 2, "gw")


def put(theirs: RepositorySimulator, *images: Image, role: str = "targets") -> None:
    for one in images:
        theirs.roles[role].targets[one.path] = TargetFile.from_dict(image_to_target(one), one.path)
    theirs.publish()


def publish(kit: Kit, theirs: RepositorySimulator, now_ns: int = NOW_NS) -> None:
    kit.keeper.publish(T, dict(theirs.files), now_ns)


def test_what_is_published_is_served_byte_for_byte(kit: Kit, theirs: RepositorySimulator):
    kit.hold(ONE)
    put(theirs, ONE)
    publish(kit, theirs)

    for name in ("1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"):
        assert kit.keeper.file(T, name) == theirs.files[name]
    for name in ("root.json", "targets.json", "snapshot.json"):
        assert kit.keeper.file(T, name) == theirs.files[f"1.{name}"]
    for name in ("2.root.json", "1.timestamp.json", "other.json", "../x", ""):
        assert kit.keeper.file(T, name) is None
    assert kit.keeper.file("other", "timestamp.json") is None
    assert kit.keeper.images(T) == (ONE,)
    assert kit.keeper.images("other") == ()
    assert kit.keeper.tenants() == [T]


def test_the_next_version_follows_and_old_ones_go_but_roots(kit: Kit, theirs: RepositorySimulator):
    kit.hold(ONE)
    kit.hold(TWO)
    put(theirs, ONE)
    publish(kit, theirs)
    put(theirs, TWO)
    publish(kit, theirs)
    assert kit.keeper.images(T) == (ONE, TWO)
    for _ in range(VERSIONS_KEPT + 1):
        theirs.rotate("targets")
        theirs.publish()
        publish(kit, theirs)

    last = theirs.targets.version
    kept = [n for n in range(1, last + 1) if kit.keeper.file(T, f"{n}.targets.json")]
    assert kept == list(range(last - VERSIONS_KEPT + 1, last + 1))
    assert all(kit.keeper.file(T, f"{n}.root.json") for n in range(1, theirs.root.version + 1))


def test_only_what_is_new_needs_to_be_sent(kit: Kit, theirs: RepositorySimulator):
    put(theirs)
    publish(kit, theirs)
    theirs.publish()
    new = {
        name: theirs.files[name] for name in ("timestamp.json", "2.snapshot.json", "2.targets.json")
    }

    kit.keeper.publish(T, new, NOW_NS)

    assert kit.keeper.file(T, "targets.json") == theirs.files["2.targets.json"]


def test_an_image_whose_bytes_are_not_here_is_not_listed(kit: Kit, theirs: RepositorySimulator):
    put(theirs, ONE)

    with pytest.raises(BadInput, match="put artifacts before metadata"):
        publish(kit, theirs)
    assert kit.keeper.file(T, "timestamp.json") is None


def test_what_is_not_signed_by_enough_is_not_published(kit: Kit, theirs: RepositorySimulator):
    theirs.add_key("targets")
    theirs.root.roles["targets"].threshold = 2
    put(theirs)
    one_key = next(iter(theirs.signers["targets"].values()))
    theirs.put("targets", theirs.sign(theirs.targets, "targets", [one_key]))
    theirs.snapshot.meta["targets.json"] = MetaFile(1)
    theirs.put("snapshot", theirs.sign(theirs.snapshot, "snapshot"))
    theirs.timestamp.snapshot_meta = MetaFile(1)
    theirs.put("timestamp", theirs.sign(theirs.timestamp, "timestamp"))

    with pytest.raises(Tampered, match=r"targets.json: it has 1 of the 2 signatures"):
        publish(kit, theirs)


def test_a_root_that_the_one_before_did_not_sign_is_refused(kit: Kit, theirs: RepositorySimulator):
    put(theirs)
    publish(kit, theirs)
    stranger = RepositorySimulator(Repository.IMAGE)
    stranger.root.version = 1
    stranger.publish()
    files = {"2.root.json": stranger.files["2.root.json"]}
    theirs.publish()

    with pytest.raises(Tampered, match=r"2.root.json: it has 0 of the 1 signatures"):
        kit.keeper.publish(T, dict(theirs.files) | files, NOW_NS)
    assert kit.keeper.file(T, "2.root.json") is None


def test_somebody_elses_repository_does_not_take_a_tenants_place(
    kit: Kit, theirs: RepositorySimulator
):
    put(theirs)
    publish(kit, theirs)
    stranger = RepositorySimulator(Repository.IMAGE)
    stranger.publish()
    stranger.publish()

    with pytest.raises((Tampered, Conflict)):
        publish(kit, stranger)


def test_what_is_not_newer_is_a_conflict(kit: Kit, theirs: RepositorySimulator):
    put(theirs)
    publish(kit, theirs)

    with pytest.raises(Conflict, match="timestamp 1 is published"):
        publish(kit, theirs)


def test_a_version_is_used_once(kit: Kit, theirs: RepositorySimulator):
    put(theirs)
    publish(kit, theirs)
    theirs.publish(skip=["targets"])
    theirs.put("targets", theirs.sign(replace_expiry(theirs), "targets"), version=1)

    with pytest.raises(Conflict, match=r"1.targets.json is published with other bytes"):
        publish(kit, theirs)


def replace_expiry(theirs: RepositorySimulator):
    theirs.targets.version = 1
    theirs.targets.expires = theirs.snapshot.expires
    return theirs.targets


def test_two_at_once_are_one_after_the_other(kit: Kit, theirs: RepositorySimulator, monkeypatch):
    put(theirs)
    publish(kit, theirs)
    theirs.publish()
    other = SqlImageRepository(kit.database, "eu", lambda *_: None)
    files, check = dict(theirs.files), kit.keeper._check_bytes

    def meanwhile(tenant, published):
        other.publish(T, files, NOW_NS)
        check(tenant, published)

    monkeypatch.setattr(kit.keeper, "_check_bytes", meanwhile)
    with pytest.raises(Conflict, match="meanwhile"):
        kit.keeper.publish(T, files, NOW_NS)


def test_what_has_expired_is_not_published(kit: Kit, theirs: RepositorySimulator):
    put(theirs)
    with pytest.raises(Tampered, match="expired"):
        publish(kit, theirs, NOW_NS + 2 * DAY_NS)


def test_delegated_roles_and_bins_are_verified_and_listed(kit: Kit, theirs: RepositorySimulator):
    kit.hold(ONE)
    kit.hold(TWO)
    theirs.delegate("targets", "supplier", ["app/*"])
    put(theirs, ONE, role="supplier")
    publish(kit, theirs)
    assert kit.keeper.images(T) == (ONE,)
    assert kit.keeper.file(T, "supplier.json") == theirs.files["1.supplier.json"]

    outside = image("brake/1", "brake", 1, "b")
    kit.hold(outside)
    put(theirs, outside, role="supplier")  # nobody delegated that path to it
    publish(kit, theirs)
    assert kit.keeper.images(T) == (ONE,)


def test_a_supplier_that_signs_with_another_key_stops_a_publication(
    kit: Kit, theirs: RepositorySimulator
):
    theirs.delegate("targets", "supplier", ["app/*"])
    theirs.signers["supplier"] = {"x": next(iter(theirs.signers["timestamp"].values()))}
    theirs.publish()

    with pytest.raises(Tampered, match=r"supplier.json: it has 0 of the 1"):
        publish(kit, theirs)


def test_images_are_listed_from_hash_bins(kit: Kit, theirs: RepositorySimulator):
    bins = theirs.bins(3)
    some = [image(f"app/{number}", f"a{number}", 1, "gw") for number in range(20)]
    for one in some:
        kit.hold(one)
        target = TargetFile.from_dict(image_to_target(one), one.path)
        theirs.roles[bins.get_role_for_target(one.path)].targets[one.path] = target
    theirs.publish()
    publish(kit, theirs)

    assert {one.path for one in kit.keeper.images(T)} == {one.path for one in some}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"timestamp.json": b""},
        {"timestamp.json": b"{}"},
        {"../x.json": b"{}"},
        {"1.targets.json": b"{}"},
        {"timestamp.json": b'{"signed": {"version": 1}}'},
    ],
)
def test_garbage_is_refused(kit: Kit, files: dict[str, bytes]):
    with pytest.raises(BadInput):
        kit.keeper.publish(T, files, NOW_NS)


def test_snapshot_and_timestamp_are_signed_anew_before_they_expire(
    kit: Kit, theirs: RepositorySimulator
):
    ours = signers.fresh()
    public = SSlibKey.from_crypto(ours.public_key())
    for role in ("snapshot", "timestamp"):
        theirs.root.add_key(public, role)
    kit.hold(ONE)
    put(theirs, ONE)
    publish(kit, theirs)

    def lookup(name):
        return kit.keeper.file(T, name)

    assert renewed(lookup, ours, NOW_NS).files == {}
    half_a_day = renewed(lookup, ours, NOW_NS + DAY_NS * 6 // 10)
    assert set(half_a_day.files) == {"timestamp.json"}
    kit.keeper.publish(T, half_a_day.files, NOW_NS + DAY_NS * 6 // 10)
    now_ns = NOW_NS + DAY_NS * 6 // 10
    for _ in range(20):  # ten days: a vehicle would take each of them
        now_ns += DAY_NS // 2 + 1_000_000_000
        due = renewed(lookup, ours, now_ns)
        assert due.helpless == ()
        if due.files:
            kit.keeper.publish(T, due.files, now_ns)
    assert lookup("2.snapshot.json") is not None
    assert kit.keeper.images(T) == (ONE,)


def test_a_key_that_root_does_not_know_signs_nothing_and_that_is_said(
    kit: Kit, theirs: RepositorySimulator
):
    put(theirs)
    publish(kit, theirs)
    stranger = signers.fresh()

    due = renewed(lambda name: kit.keeper.file(T, name), stranger, NOW_NS + DAY_NS * 6 // 10)

    assert due.files == {}
    assert due.helpless == ("timestamp",)
