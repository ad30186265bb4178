"""What every keeper of API keys and users promises: in memory, SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairway.errors import Conflict
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import ApiKey
from fleet_cloud.access.roles import Role
from fleet_cloud.access.users import User
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from tests.postgres import postgres  # noqa: F401 - a fixture

NOW = 1_780_000_000_000_000_000
VIEWER = Grant(Role.VIEWER, "acme", "north")
KEY = ApiKey("ab" * 8, "ci", VIEWER, "cd" * 32, NOW, NOW + 9)
USER = User("ann", Grant(Role.ADMIN, "*"), "scrypt$1$1$1$aa==$bb==", NOW)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        yield memory_registry()
        return
    url = (
        sqlite_url(tmp_path / "r.sqlite")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def test_a_key_is_found_as_it_was_kept_and_none_twice(registry: Registry):
    registry.keys.add(KEY)
    with pytest.raises(Conflict):
        registry.keys.add(replace(KEY, grant=Grant(Role.ADMIN, "other")))

    assert registry.keys.key(KEY.id) == KEY
    assert registry.keys.key("00" * 8) is None


def test_a_key_is_revoked_once_and_for_ever(registry: Registry):
    registry.keys.add(KEY)

    assert registry.keys.revoke(KEY.id, NOW + 5)
    assert not registry.keys.revoke(KEY.id, NOW + 6)
    assert not registry.keys.revoke("00" * 8, NOW)
    found = registry.keys.key(KEY.id)
    assert found is not None
    assert found.revoked_time_ns == NOW + 5


def test_the_latest_use_of_a_key_is_known(registry: Registry):
    registry.keys.add(KEY)
    for at_ns in (NOW + 5, NOW + 3):
        registry.keys.used(KEY.id, at_ns)
    registry.keys.used("00" * 8, NOW)

    assert registry.keys.key(KEY.id) == replace(KEY, used_time_ns=NOW + 5)


def test_keys_are_listed_the_newest_first(registry: Registry):
    newer = replace(KEY, id="ef" * 8, created_time_ns=NOW + 1, grant=Grant(Role.ADMIN, "*"))
    for key in (KEY, newer):
        registry.keys.add(key)

    assert registry.keys.listed() == [newer, KEY]


def test_a_user_is_kept_once_whatever_the_tenant_and_can_be_forgotten(registry: Registry):
    registry.users.add(USER)
    with pytest.raises(Conflict):
        registry.users.add(replace(USER, grant=VIEWER))
    registry.users.add(replace(USER, name="bob"))

    assert registry.users.user("ann") == USER
    assert [user.name for user in registry.users.users()] == ["ann", "bob"]
    assert registry.users.remove("ann")
    assert not registry.users.remove("ann")
    assert registry.users.user("ann") is None


def test_another_region_has_keys_and_users_of_its_own(tmp_path: Path):
    url = sqlite_url(tmp_path / "r.sqlite")
    here, there = open_registry(url, "eu"), open_registry(url, "cn")
    here.keys.add(KEY)
    here.users.add(USER)

    assert there.keys.key(KEY.id) is None
    assert not there.keys.revoke(KEY.id, NOW)
    assert there.users.user(USER.name) is None
    assert here.keys.key(KEY.id) == KEY
    for one in (here, there):
        one.close()
