"""What a change of the fleet asks of a broker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.rights import Changes, changes


def fleet(**hashes: set[str] | None) -> dict[str, Member]:
    """Return vehicles by the hashes of their certificates; None: one is told by its name."""
    return {
        name: Member(name, "default", sha256s=frozenset(of_it or ()), by_name=of_it is None)
        for name, of_it in hashes.items()
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (fleet(), fleet(A={"1"}), Changes(added=("A",))),
        (fleet(A={"1"}, B={"2"}), fleet(B={"2"}), Changes(removed=("A",))),
        (fleet(A={"1"}), fleet(A={"1", "2"}), Changes()),  # renewed: nobody is cut off
        (fleet(A={"1", "2"}), fleet(A={"2"}), Changes(cut=("A",))),
        (fleet(A={"1"}), fleet(A={"2"}), Changes(cut=("A",))),
        (fleet(A=None), fleet(A={"1"}), Changes(cut=("A",))),
        (fleet(A=None), fleet(A=None), Changes()),
        (fleet(A={"1"}), fleet(A=None), Changes(cut=("A",))),
    ],
)
def test_who_came_who_went_and_who_is_to_show_his_certificate_again(before, after, expected):
    assert changes(before, after) == expected


FLEETS = st.dictionaries(st.sampled_from("ABC"), st.none() | st.sets(st.sampled_from("123")))


@given(FLEETS, FLEETS)
def test_a_certificate_that_let_in_and_does_not_is_never_left_connected(before, after):
    old, new = fleet(**before), fleet(**after)
    told = changes(old, new)

    for name, member in old.items():
        for sha256 in "1234":
            if member.shows(sha256) and not (name in new and new[name].shows(sha256)):
                assert name in told.removed + told.cut
