"""Names in layers lead down, and what has a meaning to a kernel stays out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.oci.entries import What, place_of, shown, understood
from fairway.oci.tar import Entry, Kind


@given(st.binary(max_size=60))
def test_a_name_is_refused_or_leads_down(name: bytes):
    try:
        place = place_of(name)
    except BadInput:
        return
    assert not name.startswith(b"/")
    assert all(
        part not in (b"", b".", b"..") and b"/" not in part and b"\0" not in part for part in place
    )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (b"a/b", (b"a", b"b")),
        (b"./a//b/", (b"a", b"b")),
        (b".", ()),
        (b"./", ()),
        (b"..a", (b"..a",)),
    ],
)
def test_a_name_has_one_place(name: bytes, place: tuple[bytes, ...]):
    assert place_of(name) == place


@pytest.mark.parametrize(
    ("name", "what", "place"),
    [
        (b"a/.wh.b", What.HIDE, (b"a", b"b")),
        (b"a/.wh..wh..opq", What.HIDE_ALL_IN, (b"a",)),
        (b".wh..wh..opq", What.HIDE_ALL_IN, ()),
        (b".wh..wh.plnk", What.PASS, (b".wh..wh.plnk",)),
        (b".wh.....", What.HIDE, (b"....",)),
    ],
)
def test_names_that_hide_others_are_understood(name: bytes, what: What, place: tuple[bytes, ...]):
    step = understood(Entry(name))

    assert (step.what, step.place) == (what, place)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(b".wh."),
        Entry(b".wh.."),
        Entry(b"a/.wh..."),
        Entry(b".wh.a", size_bytes=1),
        Entry(b".wh.a", Kind.FOLDER),
        Entry(b".wh.a/b"),
        Entry(b"a", Kind.HARD_LINK, target=b".wh.b"),
        Entry(b"a", Kind.HARD_LINK, target=b"."),
        Entry(b"a", Kind.SYMLINK),
        Entry(b"a", Kind.SYMLINK, target=b"/.."),
        Entry(b"a/b", Kind.SYMLINK, target=b"x/../../../y"),
    ],
)
def test_entries_that_can_mean_nothing_good_are_refused(entry: Entry):
    with pytest.raises(BadInput):
        understood(entry)


@pytest.mark.parametrize("target", [b"/usr/bin/python3", b"../lib", b"b", b"./../a/..", b"/a/../b"])
def test_links_that_stay_in_the_image_are_taken(target: bytes):
    assert understood(Entry(b"bin/x", Kind.SYMLINK, target=target)).target == target


def test_bits_of_a_mode_that_give_rights_are_dropped_and_told():
    step = understood(Entry(b"su", mode=0o6755, attributes=(b"security.capability", b"user.note")))

    assert step.mode == 0o755
    assert (
        step.warning
        == "'su' lost its set-user-id bit and its set-group-id bit and its capabilities"
    )


def test_a_name_is_shown_in_one_line_whatever_it_is():
    assert shown(b"a\n\x1b[31m\xff") == "'a\\n\\x1b[31m\\xff'"
    assert len(shown(b"x" * 5000)) < 200
