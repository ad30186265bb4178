"""Scopes grant what they name and nothing else; every leaf of VSS 6.0 can be named."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.access import (
    EVERYTHING,
    NOTHING,
    PATH_MAX_CHARS,
    SCOPES_MAX,
    Action,
    parse,
    rights_of,
    told,
)
from fairway.catalog.load import load_catalog
from fairway.errors import BadInput, Denied
from tests.shared_data import shared

READ, ACTUATE, CREATE = Action.READ, Action.ACTUATE, Action.CREATE
DATA, ACTUATION = Action.PROVIDE_DATA, Action.PROVIDE_ACTUATION
SUNROOF = "Vehicle.Cabin.Sunroof"


@functools.cache
def leaves() -> tuple[str, ...]:
    catalog = load_catalog([shared("edge/vss/vss_release_6.0.json")])
    return tuple(leaf.path for leaf in catalog)


def test_every_leaf_of_vss_6_can_be_named_alone_and_only_it_is_granted():
    assert len(leaves()) == 1263
    for leaf in leaves():
        rights = rights_of(f"read:{leaf}")

        assert [path for path in leaves() if rights.may(READ, path)] == [leaf]
        assert not any(rights.may(action, leaf) for action in (ACTUATE, DATA, ACTUATION, CREATE))


# What KUKSA's doc/wildcard_matching.md and doc/authorization.md say, and what they leave open.
@pytest.mark.parametrize(
    ("pattern", "leaf"),
    [
        ("Vehicle.Speed", "Vehicle.Speed"),
        (SUNROOF, f"{SUNROOF}.Shade.Position"),
        (f"{SUNROOF}.*", f"{SUNROOF}.Position"),
        (f"{SUNROOF}.**", f"{SUNROOF}.Shade.Position"),
        (f"{SUNROOF}.*.Position", f"{SUNROOF}.Shade.Position"),
        (f"{SUNROOF}.**.Position", f"{SUNROOF}.Position"),
        (f"{SUNROOF}.**.Position", f"{SUNROOF}.Shade.Position"),
        ("**.Sunroof.*.Position", f"{SUNROOF}.Shade.Position"),
        ("**.Sunroof.**", f"{SUNROOF}.Switch"),
        ("*.*.*.*.Position", f"{SUNROOF}.Shade.Position"),
        ("**.*.*.*.Position", "Vehicle.Cabin.Door.Row2.PassengerSide.Shade.Position"),
        ("Vehicle.*.*.*.IsOpen", "Vehicle.Body.Trunk.Rear.IsOpen"),
        ("**", "Vehicle.Speed"),
        ("can0.STEER_2.Angle-1", "can0.STEER_2.Angle-1"),
    ],
)
def test_a_pattern_grants_what_kuksa_documents(pattern: str, leaf: str):
    assert rights_of(f"read:{pattern}").may(READ, leaf)


@pytest.mark.parametrize(
    ("pattern", "leaf"),
    [
        ("Vehicle.Speed", "Vehicle.SpeedLimit"),
        ("Vehicle.Speed", "Vehicle"),
        ("Vehicle.Speed", "Other.Vehicle.Speed"),
        ("Vehicle.speed", "Vehicle.Speed"),
        (f"{SUNROOF}.*", f"{SUNROOF}.Shade.Position"),
        (f"{SUNROOF}.*", SUNROOF),
        (f"{SUNROOF}.**", SUNROOF),
        (f"{SUNROOF}.*.Position", f"{SUNROOF}.Position"),
        (f"{SUNROOF}.*.Position", f"{SUNROOF}.Shade.Position.Deeper"),
        ("**.Sunroof", f"{SUNROOF}.Switch"),
        ("Vehicle.*.IsOpen", "Vehicle.Body.Trunk.Rear.IsOpen"),
        ("Sunroof", f"{SUNROOF}.Switch"),
        ("*", "Vehicle.Speed"),
    ],
)
def test_a_pattern_grants_no_more(pattern: str, leaf: str):
    assert not rights_of(f"read:{pattern}").may(READ, leaf)


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("read", READ),
        ("actuate", READ | ACTUATE),
        ("provide", READ | DATA | ACTUATION),
        ("create", READ | CREATE),
        ("provide:data", READ | DATA),
        ("provide:actuation", READ | ACTUATION),
        ("read:Vehicle.Speed", READ),
        ("provide:data:Vehicle.Speed", READ | DATA),
        ("provide:actuation:Vehicle", READ | ACTUATION),
        ("read:Vehicle.Speed actuate:Vehicle.*", READ | ACTUATE),
        ("", Action(0)),
        ("actuate:Vehicle.Cabin", Action(0)),
    ],
)
def test_an_action_brings_the_right_to_read_and_no_other(scope: str, granted: Action):
    rights = rights_of(scope)

    assert [one for one in Action if rights.may(one, "Vehicle.Speed")] == list(granted)


def test_what_is_not_granted_is_denied_in_one_sentence():
    rights = rights_of("read:Vehicle.Speed")

    rights.need(READ, "Vehicle.Speed")
    with pytest.raises(Denied, match=r"^the token has no scope to actuate Vehicle\.Speed$"):
        rights.need(ACTUATE, "Vehicle.Speed")
    assert not NOTHING.may(READ, "Vehicle.Speed")
    assert all(EVERYTHING.may(action, "Any.Thing") for action in Action)
    assert not rights_of("read:**").may(READ, "a." * PATH_MAX_CHARS + "a")


@pytest.mark.parametrize(
    "text",
    [
        "write", "Read", "read:", ":Vehicle", "read:Vehicle.", "read:.Speed", "read:Vehicle..Speed",
        "read:Vehicle.Sp*", "read:***", "read:Vehicle:Speed", "read:data:Vehicle", "provide:data:",
        'read:Vehicle."Speed"', "read:Vehicle.Längs", "read Vehicle.Speed", "!read:Vehicle",
        "read:" + "a" * (PATH_MAX_CHARS + 1), "read " * (SCOPES_MAX + 1),
    ],
)  # fmt: skip
def test_a_scope_that_cannot_be_read_spoils_the_others(text: str):
    with pytest.raises(BadInput):
        parse(f"read:Vehicle.Speed {text}")


def test_scopes_are_told_in_words():
    scopes = parse("read:Vehicle.*.X provide actuate:Vehicle.Cabin provide:data:A")

    assert told(scopes) == [
        "may read Vehicle.*.X",
        "may provide values of and answer actuations of every signal",
        "may actuate Vehicle.Cabin, or all below it",
        "may provide values of A, or all below it",
    ]


LEVELS = st.lists(st.sampled_from(["A", "B", "*", "**"]), min_size=1, max_size=5)
PATHS = st.lists(st.sampled_from("ABC"), min_size=1, max_size=6)


def stands_for(pattern: list[str], path: list[str]) -> bool:
    """What a pattern with a wildcard names, said as plainly as can be."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        least = 1 if len(pattern) == 1 else 0
        return any(stands_for(pattern[1:], path[n:]) for n in range(least, len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and stands_for(pattern[1:], path[1:])


@given(st.lists(LEVELS, max_size=4), PATHS)
def test_many_patterns_together_grant_what_each_would(patterns: list[list[str]], path: list[str]):
    rights = rights_of(" ".join("read:" + ".".join(pattern) for pattern in patterns))
    expected = any(
        stands_for(p, path) if "*" in p or "**" in p else path[: len(p)] == p for p in patterns
    )

    assert rights.may(READ, ".".join(path)) is expected
    assert rights.may(READ, ".".join(path)) is expected  # from what is kept


@given(st.text(st.sampled_from('readprovidactul:.* ABé"\n\0'), max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str):
    try:
        scopes = parse(text)
    except BadInput:
        return
    assert len(scopes) == len(text.split())
