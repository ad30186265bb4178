"""Everything that keeps what updates must not forget: whole, replaced whole, and there after a restart."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.updates_store import KeptInMemory, SqliteMemory
from edge_agent.updates.order import Bad, Consent, Done, Kept, Mark, Order, Task
from edge_agent.updates.planner import whole
from edge_agent.updates.records import kept_from_bytes, kept_to_bytes
from fairway.errors import BadInput, Unavailable
from fairway.update import Fault, Stage, UpdateEvent
from ota.report import Installed
from ota.trust.model import Attack
from tests.edge_agent.updates.releases import assigned

Store = SqliteMemory | KeptInMemory


@pytest.fixture(params=[lambda folder: SqliteMemory(folder / "u.sqlite"), lambda _: KeptInMemory()])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    make: Callable[[Path], Store] = request.param
    made = make(tmp_path)
    yield made
    made.close()


def full(sentence: str = "why") -> Kept:
    image = assigned("apps", 2, needs_consent=True, user_text={"en": "New", "de": "Neu"})
    task = Task(image, whole(image.image), "ab" * 32, Mark.PREPARING, is_single_bank=True)
    order = Order("a", "t", 3, (task,), consent=Consent.POSTPONED, fault=Fault.HEALTH)
    event = UpdateEvent("a", 7, 8, Stage.INSTALLING, percent=40, fault=Fault.TIME, log="x")
    return Kept(
        order,
        (Bad("apps", "ab" * 32, "1", sentence),),
        (Done("b", 1, Stage.ROLLED_BACK, 5, Fault.SAFETY, sentence),),
        (event,),
        sequence=7,
        installed={"apps": Installed("p", 1, "cd" * 32, 4)},
        attacks=(Attack.FREEZE,),
    )


def test_at_first_there_is_nothing(store: Store):
    assert store.read() == Kept()


def test_what_was_kept_is_read(store: Store):
    store.keep(full("first"))
    store.keep(full("second"))

    assert store.read() == full("second")


def test_a_new_agent_reads_what_the_old_one_kept(tmp_path: Path):
    old = SqliteMemory(tmp_path / "u.sqlite")
    old.keep(full())
    old.close()

    new = SqliteMemory(tmp_path / "u.sqlite")

    assert new.read() == full()
    new.close()


def test_a_record_that_is_garbage_is_forgotten_not_fatal(tmp_path: Path):
    store = SqliteMemory(tmp_path / "u.sqlite")
    store.keep(full())
    store._database.execute("UPDATE kept SET record = x'7b'")

    assert store.read() == Kept()
    store.close()


def test_what_is_no_database_is_unavailable(tmp_path: Path):
    path = tmp_path / "u.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)

    with pytest.raises(Unavailable, match="cannot be opened"):
        SqliteMemory(path)


def test_a_database_that_cannot_be_written_is_unavailable_and_keeps_the_old(tmp_path: Path):
    store = SqliteMemory(tmp_path / "u.sqlite")
    store.keep(full("first"))
    store._database.execute("PRAGMA query_only=ON")

    with pytest.raises(Unavailable, match="cannot be written"):
        store.keep(full("second"))
    assert store.read() == full("first")
    store.close()


def test_a_field_of_tomorrow_is_left_out_and_one_that_is_missing_has_its_default():
    content = kept_to_bytes(Kept(sequence=4)).replace(b'"sequence":4', b'"sequence":4,"new":[1]')

    assert kept_from_bytes(content) == Kept(sequence=4)
    assert kept_from_bytes(b'{"format":1,"kept":{}}') == Kept()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_is_bad_input_and_nothing_else(content: bytes):
    with pytest.raises(BadInput):
        kept_from_bytes(content)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_record_with_a_hole_in_it_is_read_or_bad_input(at: int, noise: bytes):
    content = kept_to_bytes(full())
    spoilt = content[:at] + noise + content[at + len(noise) :]
    with contextlib.suppress(BadInput):
        assert isinstance(kept_from_bytes(spoilt), Kept)
