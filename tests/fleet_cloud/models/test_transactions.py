"""A decision is committed on what it saw, or taken again."""

import threading
from contextlib import nullcontext

import pytest

from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters.memory_models import MemoryDocuments
from fleet_cloud.models.documents import Changes, Document, Kind, Reference
from fleet_cloud.models.refusals import InTheWay, NotThere
from fleet_cloud.models.transactions import ATTEMPTS_MAX, Models, Transaction

CARS = Reference(Kind.CATALOG, "cars")


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


@pytest.fixture
def models(documents: MemoryDocuments) -> Models:
    return Models(documents, nullcontext())


def make(transaction: Transaction) -> str:
    transaction.new(Kind.CATALOG, "cars", {"n": 1}, frozenset())
    return "made"


def overtake(documents: MemoryDocuments) -> None:
    """Somebody else commits something."""
    other = Document(Kind.FLEET, f"f{documents.revision('acme')}", {}, 1, 1)
    documents.commit("acme", Changes((other,)), documents.revision("acme"))


def test_what_is_decided_is_committed_and_returned(models: Models, documents: MemoryDocuments):
    assert models.change("acme", 7, make) == "made"
    assert documents.document("acme", CARS) == Document(Kind.CATALOG, "cars", {"n": 1}, 7, 7)
    with pytest.raises(InTheWay, match="already"):
        models.change("acme", 8, make)


def test_what_was_wanted_is_seen_before_it_is_committed(models: Models):
    def work(transaction: Transaction) -> None:
        make(transaction)
        assert transaction.get(Kind.CATALOG, "cars").content == {"n": 1}
        transaction.put(Kind.CATALOG, "cars", {"n": 2})
        assert transaction.content(Kind.CATALOG, "cars") == {"n": 2}
        transaction.drop(Kind.CATALOG, "cars")
        with pytest.raises(NotThere, match="no signal-catalog called cars"):
            transaction.get(Kind.CATALOG, "cars")

    models.change("acme", 7, work)


def test_whoever_is_overtaken_decides_again_and_is_audited_once(
    models: Models, documents: MemoryDocuments
):
    seen, told = list[int](), list[str]()

    def work(transaction: Transaction) -> None:
        seen.append(documents.revision("acme"))
        make(transaction)
        if len(seen) < 3:
            overtake(documents)

    models.change("acme", 7, work, before=lambda: told.append("act"))

    assert seen == [0, 1, 2]
    assert told == ["act"]
    assert documents.revision("acme") == 3


def test_whoever_is_always_overtaken_is_sent_away(models: Models, documents: MemoryDocuments):
    def work(transaction: Transaction) -> None:
        make(transaction)
        overtake(documents)

    with pytest.raises(Unavailable, match="come again"):
        models.change("acme", 7, work)
    assert documents.revision("acme") == ATTEMPTS_MAX
    assert documents.document("acme", CARS) is None


def test_what_cannot_be_audited_is_not_done(models: Models, documents: MemoryDocuments):
    def refuse() -> None:
        raise Unavailable("no audit log")

    with pytest.raises(Unavailable, match="no audit log"):
        models.change("acme", 7, make, before=refuse)
    assert documents.revision("acme") == 0


def test_what_changes_nothing_is_neither_committed_nor_audited(
    models: Models, documents: MemoryDocuments
):
    models.change("acme", 7, make)

    def same(transaction: Transaction) -> None:
        transaction.put(Kind.CATALOG, "cars", {"n": 1})

    models.change("acme", 8, same, before=lambda: pytest.fail("nothing is to be told"))
    assert documents.revision("acme") == 1


def test_changes_of_many_threads_are_all_made(documents: MemoryDocuments):
    models = Models(documents, threading.Lock())

    def add(number: int) -> None:
        def work(transaction: Transaction) -> None:
            known = transaction.find(Kind.ACCOUNT, "sum")
            transaction.put(Kind.ACCOUNT, "sum", (known.content if known else 0) + number)

        models.change("acme", 7, work)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(1, 41)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = documents.document("acme", Reference(Kind.ACCOUNT, "sum"))
    assert found is not None
    assert found.content == sum(range(1, 41))


def test_a_refusal_of_the_work_is_passed_on(models: Models):
    def work(_transaction: Transaction) -> None:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        models.change("acme", 7, work)
