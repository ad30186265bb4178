"""What every keeper of documents about models promises: in memory, SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairway.errors import Conflict
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import open_registry
from fleet_cloud.models.documents import Changes, Document, Documents, Kind, Reference, pages
from tests.postgres import postgres  # noqa: F401 - a fixture

CATALOG = Document(
    Kind.CATALOG, "cars", {"description": "é \u0000 \U0001f697", "n": [1.5, None]}, 5, 6
)
OF_CARS = Reference(Kind.CATALOG, "cars")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documents]:
    if request.param == "memory":
        yield memory_registry().models
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened.models
    opened.close()


def model(name: str, *refers: Reference) -> Document:
    return Document(Kind.MODEL, name, {"name": name}, 7, 7, frozenset(refers))


def put(documents: Documents, *puts: Document, tenant: str = "acme") -> None:
    documents.commit(tenant, Changes(puts), documents.revision(tenant))


def names(documents: list[Document]) -> list[str]:
    return [document.name for document in documents]


def test_what_was_put_is_found_whole(documents: Documents):
    assert documents.document("acme", CATALOG.reference) is None
    put(documents, CATALOG, model("small", OF_CARS, Reference(Kind.FLEET, "north")))

    assert documents.document("acme", CATALOG.reference) == CATALOG
    found = documents.document("acme", Reference(Kind.MODEL, "small"))
    assert found == model("small", OF_CARS, Reference(Kind.FLEET, "north"))


def test_a_kind_is_listed_in_order_of_name_a_page_at_a_time(documents: Documents):
    put(documents, CATALOG, *(model(f"m{number:04}") for number in range(1203)))

    first = documents.listed("acme", Kind.MODEL, limit=3)
    assert names(first) == ["m0000", "m0001", "m0002"]
    assert names(documents.listed("acme", Kind.MODEL, after="m1200", limit=9)) == ["m1201", "m1202"]
    assert len(documents.listed("acme", Kind.MODEL, limit=5000)) == 1000
    assert len(pages(documents, "acme", Kind.MODEL)) == 1203
    assert documents.count("acme", Kind.MODEL) == 1203


def test_those_that_refer_to_something_are_listed_alone(documents: Documents):
    put(documents, model("a", OF_CARS), model("b"), model("c", OF_CARS, Reference(Kind.FLEET, "f")))

    assert names(documents.listed("acme", Kind.MODEL, of=OF_CARS, limit=9)) == ["a", "c"]
    assert names(documents.listed("acme", Kind.MODEL, of=OF_CARS, after="a", limit=9)) == ["c"]
    assert documents.count("acme", Kind.MODEL, OF_CARS) == 2
    assert documents.listed("acme", Kind.DECODER, of=OF_CARS, limit=9) == []


def test_another_content_takes_the_place_of_the_one_before_with_what_it_refers_to(
    documents: Documents,
):
    put(documents, model("a", OF_CARS))
    after = replace(model("a", Reference(Kind.CATALOG, "vans")), content=[2], changed_time_ns=9)
    put(documents, after)

    assert documents.document("acme", after.reference) == after
    assert documents.count("acme", Kind.MODEL, OF_CARS) == 0


def test_what_is_dropped_is_gone_with_what_it_referred_to(documents: Documents):
    put(documents, model("a", OF_CARS), model("b", OF_CARS))
    drops = (Reference(Kind.MODEL, "a"), Reference(Kind.MODEL, "never"))
    documents.commit("acme", Changes(drops=drops), documents.revision("acme"))

    assert documents.document("acme", drops[0]) is None
    assert names(documents.listed("acme", Kind.MODEL, of=OF_CARS, limit=9)) == ["b"]


def test_every_commit_moves_the_revision_on_and_one_at_another_is_refused_whole(
    documents: Documents,
):
    assert documents.revision("acme") == 0
    put(documents, CATALOG)
    first = documents.revision("acme")
    for at in (0, first + 1):
        with pytest.raises(Conflict):
            documents.commit("acme", Changes((model("late"),), (CATALOG.reference,)), at)

    assert documents.revision("acme") == first
    assert documents.document("acme", CATALOG.reference) == CATALOG
    assert documents.listed("acme", Kind.MODEL, limit=9) == []


def test_of_many_who_commit_at_one_revision_one_wins(documents: Documents):
    for at in (0, 1):
        won, start = list[int](), threading.Barrier(6)

        def race(
            number: int, at: int = at, won: list[int] = won, start: threading.Barrier = start
        ) -> None:
            start.wait()
            try:
                documents.commit("acme", Changes((model(f"m{number}"),)), at)
            except Conflict:
                return
            won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1

    assert documents.revision("acme") == 2


def test_another_tenant_sees_nothing_and_moves_nothing(documents: Documents):
    put(documents, CATALOG, model("a", OF_CARS))
    put(documents, model("theirs"), tenant="other")

    assert documents.document("other", CATALOG.reference) is None
    assert documents.count("other", Kind.MODEL, OF_CARS) == 0
    assert names(documents.listed("other", Kind.MODEL, limit=9)) == ["theirs"]
    assert documents.revision("acme") == documents.revision("other") == 1
    documents.commit("other", Changes(drops=(CATALOG.reference,)), 1)
    assert documents.document("acme", CATALOG.reference) == CATALOG


def test_another_region_in_the_same_database_sees_nothing(tmp_path: Path):
    url = sqlite_url(tmp_path / "r.sqlite")
    here, there = open_registry(url, "eu"), open_registry(url, "cn")
    put(here.models, CATALOG)

    assert there.models.document("acme", CATALOG.reference) is None
    assert there.models.revision("acme") == 0
    here.close()
    there.close()
