"""What every keeper of foreign clients' documents and numbers promises: in memory, SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairway.errors import Conflict
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.adapters.registry_foreign import SqlForeign
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.rollouts.foreign.model import Target
from fleet_cloud.rollouts.foreign.ports import Document, Kind, change, found
from tests.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryForeign()
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    database = Database(url, "eu")
    yield SqlForeign(database, "eu")
    database.close()


def document(name: str, content: Any, group: str = "") -> Document:
    return Document(Kind.TARGET, name, content, group=group)


def test_what_is_put_is_found_whole(foreign: Any):
    content = {"é \u0000": [1, None, True, "\U0001f697"], "n": 1 << 60}

    assert foreign.document("acme", Kind.TARGET, "V1") is None
    assert foreign.put("acme", document("V1", content, "V1/closed"))
    assert foreign.document("acme", Kind.TARGET, "V1") == Document(
        Kind.TARGET, "V1", content, 1, "V1/closed"
    )


def test_of_two_that_change_the_same_revision_one_does(foreign: Any):
    foreign.put("acme", document("V1", 1))
    read = foreign.document("acme", Kind.TARGET, "V1")

    assert foreign.put("acme", replace(read, content=2, group="new"))
    assert not foreign.put("acme", replace(read, content=3))
    assert not foreign.put("acme", document("V1", 4))
    kept = foreign.document("acme", Kind.TARGET, "V1")
    assert (kept.content, kept.revision, kept.group) == (2, 2, "new")


def test_documents_are_listed_by_group_the_newest_first(foreign: Any):
    for number in range(5):
        foreign.put("acme", document(f"V{number}", number, "even" if number % 2 == 0 else "odd"))

    assert [one.content for one in foreign.listed("acme", Kind.TARGET, "even")] == [4, 2, 0]
    assert [one.content for one in foreign.listed("acme", Kind.TARGET, limit=2)] == [4, 3]
    assert foreign.listed("acme", Kind.MODULE) == []


def test_nothing_of_a_tenant_is_there_for_another(foreign: Any):
    foreign.put("acme", document("V1", 1))
    number = foreign.number("acme", Kind.ACTION, "order")

    assert foreign.document("other", Kind.TARGET, "V1") is None
    assert foreign.listed("other", Kind.TARGET) == []
    assert not foreign.drop("other", Kind.TARGET, "V1")
    assert foreign.name("other", Kind.ACTION, number) is None


def test_what_is_dropped_is_gone_and_can_be_made_again(foreign: Any):
    foreign.put("acme", document("V1", 1))

    assert foreign.drop("acme", Kind.TARGET, "V1")
    assert not foreign.drop("acme", Kind.TARGET, "V1")
    assert foreign.put("acme", document("V1", 2))


def test_a_name_keeps_its_number_and_no_other_has_it(foreign: Any):
    first = foreign.number("acme", Kind.ACTION, "a")
    second = foreign.number("acme", Kind.ACTION, "b")

    assert foreign.number("acme", Kind.ACTION, "a") == first != second
    assert foreign.name("acme", Kind.ACTION, first) == "a"
    assert foreign.name("acme", Kind.MODULE, first) is None
    assert foreign.name("acme", Kind.ACTION, 1 << 50) is None


def test_a_name_that_many_number_at_once_has_one_number(foreign: Any):
    given: list[int] = []

    def number() -> None:
        given.append(foreign.number("acme", Kind.MODULE, "os"))

    threads = [threading.Thread(target=number) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(given)) == 1
    assert len(given) == 6


def test_no_change_of_many_at_once_is_lost(foreign: Any):
    def add(word: str) -> None:
        def changed(kept: Target | None) -> Target:
            target = kept or Target("V1")
            return replace(target, attributes={**target.attributes, word: "yes"})

        for _ in range(20):
            try:
                change(foreign, "acme", Kind.TARGET, "V1", changed, Target)
            except Conflict:
                continue
            return

    threads = [threading.Thread(target=add, args=(word,)) for word in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = found(foreign, "acme", Kind.TARGET, "V1", Target)
    assert kept is not None
    assert set(kept.attributes) == set("abcd")
