"""What every store of trust promises: whole, durable, and what was kept last."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.trust_store import MemoryTrust, SqliteTrust
from fairway.errors import Unavailable
from ota.trust.kept import Held, Kept, provisioned
from ota.trust.model import Repository

FIRST = provisioned(b"director root", b"image root", time_ns=7)
TIMESTAMP = (Repository.DIRECTOR, "timestamp")
Store = MemoryTrust | SqliteTrust


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryTrust(FIRST) if request.param == "memory" else SqliteTrust(tmp_path / "t", FIRST)


def test_a_new_vehicle_trusts_what_it_was_made_with(store: Store):
    assert store.read() == FIRST


def test_what_was_kept_is_read(store: Store):
    kept = Kept({**FIRST.roles, TIMESTAMP: b"\x00\xff"}, {"br-1": Held("brake-fw", 1 << 62)}, 9)
    store.keep(kept)

    assert store.read() == kept


def test_what_is_not_there_any_more_is_not_read(store: Store):
    store.keep(Kept({**FIRST.roles, TIMESTAMP: b"x"}, {"br-1": Held("brake-fw", 1)}, 9))
    store.keep(replace(FIRST, time_ns=10))

    assert store.read() == replace(FIRST, time_ns=10)


def test_a_vehicle_that_keeps_its_first_trust_has_kept_it(store: Store):
    store.keep(FIRST)

    assert store.read() == FIRST


names = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable())
kepts = st.builds(
    Kept,
    roles=st.dictionaries(st.tuples(st.sampled_from(Repository), names), st.binary(), max_size=5),
    held=st.dictionaries(names, st.builds(Held, names, st.integers(0, (1 << 63) - 1)), max_size=5),
    time_ns=st.integers(0, (1 << 63) - 1),
)


@given(st.lists(kepts, max_size=4))
def test_a_file_is_read_as_it_was_kept_by_who_opens_it_next(
    tmp_path_factory: pytest.TempPathFactory, all_kept: list[Kept]
):
    path = tmp_path_factory.mktemp("trust") / "trust.sqlite"
    for kept in all_kept:
        store = SqliteTrust(path, FIRST)
        store.keep(kept)
        store.close()

    store = SqliteTrust(path, FIRST)
    assert store.read() == (all_kept[-1] if all_kept else FIRST)
    store.close()


def test_a_look_that_found_nothing_new_writes_nothing(tmp_path: Path):
    store = SqliteTrust(tmp_path / "t", FIRST)
    store.keep(replace(FIRST, time_ns=8))
    before = (tmp_path / "t-wal").read_bytes()

    store.keep(replace(FIRST, time_ns=8))

    assert (tmp_path / "t-wal").read_bytes() == before


def test_a_file_that_is_no_database_is_not_taken_for_an_empty_one(tmp_path: Path):
    (tmp_path / "t").write_bytes(b"not a database, but long enough to be looked at" * 100)

    with pytest.raises(Unavailable, match="cannot be opened"):
        SqliteTrust(tmp_path / "t", FIRST)


def test_a_damaged_table_is_not_taken_for_an_empty_one(tmp_path: Path):
    store = SqliteTrust(tmp_path / "t", FIRST)
    store.keep(replace(FIRST, held={f"ecu-{n}": Held("x" * 400, n) for n in range(99)}))
    store.close()
    content = bytearray((tmp_path / "t").read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    (tmp_path / "t").write_bytes(content)

    with pytest.raises(Unavailable):
        SqliteTrust(tmp_path / "t", FIRST).read()
