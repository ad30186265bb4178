"""Metadata stays fresh for as long as the cloud runs, and one tenant's trouble is not another's."""

from pathlib import Path

import pytest

from fairway.clock import ManualClock
from fairway.errors import Unavailable
from fairway.signers import file as signers
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.registry_repository import SqlImageRepository
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.repository_keeper import RepositoryKeeper
from fleet_cloud.rollouts.publishing import version_of
from ota.trust.model import Repository
from ota.tuf_library import SSlibKey
from tests.ota.repository_simulator import DAY_NS, NOW_NS, RepositorySimulator


class At(ManualClock):
    """A clock that stands where it is put."""

    at_ns = NOW_NS

    def now_ns(self) -> int:
        return self.at_ns


class Rig:
    """Two tenants: the key of one is in its root, that of the other is broken."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(sqlite_url(folder / "r.sqlite"), "eu")
        self.repository = SqlImageRepository(self.database, "eu", lambda *_: None)
        self.clock, self.key = At(), signers.fresh()
        for tenant in ("acme", "broken"):
            theirs = RepositorySimulator(Repository.IMAGE)
            for role in ("snapshot", "timestamp"):
                theirs.root.add_key(SSlibKey.from_crypto(self.key.public_key()), role)
            theirs.publish()
            self.repository.publish(tenant, dict(theirs.files), NOW_NS)
        self.keeper = RepositoryKeeper(self.repository, self.key_of, self.clock)

    def key_of(self, tenant: str):
        if tenant == "broken":
            raise Unavailable("the token is not there")
        return self.key

    def version(self, role: str, tenant: str = "acme") -> int:
        name = f"{role}.json"
        return version_of(self.repository.file(tenant, name) or b"", name)


@pytest.fixture
def rig(tmp_path: Path):
    made = Rig(tmp_path)
    yield made
    made.database.close()


def test_nothing_is_signed_while_it_is_fresh(rig: Rig):
    assert rig.keeper.renew() == 0
    assert rig.version("timestamp") == 1


def test_a_month_passes_and_vehicles_never_meet_what_has_expired(rig: Rig):
    for _ in range(60):
        rig.clock.at_ns += DAY_NS // 2 + 1_000_000_000
        assert rig.keeper.renew() == 1  # the broken one does not stop it

    assert rig.version("timestamp") == 61
    assert 8 <= rig.version("snapshot") <= 10
    assert rig.version("targets") == 1
    assert rig.version("timestamp", "broken") == 1


def test_what_was_let_expire_is_signed_again_all_the_same(rig: Rig):
    rig.clock.at_ns += 20 * DAY_NS

    assert rig.keeper.renew() == 1
    assert (rig.version("timestamp"), rig.version("snapshot")) == (2, 2)


def test_a_tenant_without_a_key_is_left_alone(rig: Rig):
    rig.clock.at_ns += DAY_NS * 6 // 10
    assert RepositoryKeeper(rig.repository, lambda _: None, rig.clock).renew() == 0
