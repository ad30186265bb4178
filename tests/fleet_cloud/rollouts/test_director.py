"""What the Director signs is spelled as TUF spells it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Targets

from fairway.signers import file
from fleet_cloud.rollouts.director import (
    Files,
    Instruction,
    OnlineKeys,
    canonical_of,
    is_fresh,
    role_key,
    signed_files,
    signed_root,
)
from fleet_cloud.rollouts.solver import EcuKnown, Given
from ota.canonical import canonical
from tests.rollouts_kit import NOW, image

KEYS = OnlineKeys(*(role_key(file.fresh()) for _ in range(3)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(JSON)
def test_the_short_way_to_canonical_json_leads_where_the_long_one_does(said: object):
    written = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert canonical_of(said, written.encode("utf-8", "surrogatepass")) == canonical(said)


def files_of(vehicle: str = "V1", *given_: Given) -> Files:
    return signed_files(Instruction(vehicle, "a-1" if given_ else "", given_), KEYS, 3, NOW)


def test_one_image_for_two_ecus_is_one_target():
    some = [Given(EcuKnown(serial, "brake-hw"), image()) for serial in ("left", "right")]
    (target,) = Metadata[Targets].from_bytes(files_of("V1", *some).targets).signed.targets.values()

    assert target.unrecognized_fields["custom"]["ecuIdentifiers"] == {
        "left": {"hardwareId": "brake-hw"},
        "right": {"hardwareId": "brake-hw"},
    }


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("timestamp.json", True),
        ("targets.json", True),
        ("3.targets.json", True),
        ("3.snapshot.json", True),
        ("2.targets.json", False),
        ("3.timestamp.json", False),
        ("targets", False),
        ("a.3.targets.json", False),
    ],
)
def test_a_file_is_found_by_its_name_and_version(name, there):
    assert (files_of().named(name) is not None) is there


def test_another_vehicles_files_are_not_this_ones():
    assert Instruction("V1").digest != Instruction("V2").digest
    assert not is_fresh(files_of("V1"), Instruction("V2"), NOW)
    assert is_fresh(files_of("V1"), Instruction("V1"), NOW)


def test_the_next_root_is_signed_by_the_keys_of_the_one_before():
    keys = [file.fresh() for _ in range(3)]
    online = {role: file.fresh().public_key() for role in ("targets", "snapshot", "timestamp")}
    first = Metadata[Root].from_bytes(signed_root(1, keys, 2, online, NOW))
    second = Metadata[Root].from_bytes(signed_root(2, keys, 2, online, NOW))

    first.verify_delegate("root", second)
    assert (second.signed.version, second.signed.roles["root"].threshold) == (2, 2)
