from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway import config
from fairway.errors import BadInput


@dataclass(frozen=True, slots=True)
class Spool:
    max_bytes: int = 64
    when_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    dir: Path = Path("spool")


@dataclass(frozen=True, slots=True)
class Bus:
    name: str
    databases: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    interval_s: float = 1.0
    json: bool = False
    note: str | None = None
    bus: tuple[Bus, ...] = ()
    spool: Spool = field(default_factory=Spool)
    limits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.interval_s <= 0:
            raise BadInput(f"interval_s must be above zero, not {self.interval_s}")


def read(text: str) -> Agent:
    return config.loads(Agent, text.encode(), where="agent.toml", base=Path("/etc/fairway"))


def test_a_file_becomes_a_tree_with_paths_beside_it():
    tree = read(
        """
        id = "VIN1"
        interval_s = 2
        note = "bench"
        [[bus]]
        name = "can0"
        databases = ["ev.dbc", "/abs/x.dbc"]
        [spool]
        max_bytes = 7
        dir = "data"
        [limits]
        a = 1
        """
    )

    assert tree == Agent(
        id="VIN1",
        interval_s=2.0,
        note="bench",
        bus=(Bus("can0", (Path("/etc/fairway/ev.dbc"), Path("/abs/x.dbc"))),),
        spool=Spool(7, "drop_oldest", Path("/etc/fairway/data")),
        limits={"a": 1},
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id='a'\nintervall_s=1", "unknown key intervall_s; did you mean interval_s?"),
        ("id='a'\n[spool]\nmaxbytes=1", "unknown key spool.maxbytes; did you mean max_bytes?"),
        ("id='a'\n[spool]\nzzz=1", "known here: dir, max_bytes, when_full"),
        ("interval_s=1", "id is missing and has no default"),
        ("id=1", "id must be a text, not 1"),
        ("id='a'\n[spool]\nmax_bytes=true", "spool.max_bytes must be a whole number, not True"),
        ("id='a'\n[spool]\nwhen_full='x'", "choose one of 'drop_oldest', 'drop_newest'"),
        ("id='a'\nbus=1", "bus must be a list, not 1"),
        ("id='a'\nbus=[1]", "bus[0] must be a table, not 1"),
        ("id='a'\nspool=1", "spool must be a table, not 1"),
        ("id='a'\ninterval_s=-1", "interval_s must be above zero, not -1.0"),
        ("id='a", "is not TOML"),
        ("id='a'\ninterval_s=" + "9" * 400, "interval_s is larger than any number can be"),
        ("id='a'\ninterval_s=" + "9" * 5000, "is not TOML"),
        ('id="a"\nspool.dir="a\\u0000b"', "spool.dir must be a path"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_cure(text: str, sentence: str):
    with pytest.raises(BadInput, match="agent.toml") as caught:
        read(text)

    assert sentence in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(BadInput, match=r"cannot read the configuration .*none.toml: No such file"):
        config.load(Agent, tmp_path / "none.toml")


def test_a_huge_file_is_no_configuration():
    with pytest.raises(BadInput, match="not a configuration"):
        config.loads(Agent, b"#" * (config.CONFIG_MAX_BYTES + 1), where="x", base=Path())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_settings_or_bad_input(content: bytes):
    try:
        tree = config.loads(Agent, content, where="agent.toml", base=Path())
    except BadInput:
        return

    assert isinstance(tree, Agent)
