"""The image of an index that runs here is chosen."""

import pytest

from fairway.errors import BadInput
from fairway.oci.model import MANIFEST, Descriptor, Index, Platform
from fairway.oci.platforms import choose, of_machine, runs_on

ARM7 = Platform("linux", "arm", "v7")


def index(*platforms: Platform | None) -> Index:
    return Index(
        tuple(Descriptor(MANIFEST, f"sha256:{at}", at, one) for at, one in enumerate(platforms))
    )


def test_machines_have_the_names_that_images_use():
    assert (str(of_machine("x86_64")), str(of_machine("aarch64"))) == ("linux/amd64", "linux/arm64")
    assert str(of_machine("loongarch64")) == "linux/loongarch64"


@pytest.mark.parametrize(
    ("image", "here", "runs"),
    [
        (Platform("linux", "arm64"), Platform("linux", "arm64", "v8"), True),
        (Platform("linux", "arm", "v6"), ARM7, True),
        (Platform("linux", "arm", "v8"), ARM7, False),
        (Platform("linux", "arm64", "v9"), Platform("linux", "arm64"), False),
        (Platform("linux", "amd64", "v3"), Platform("linux", "amd64"), False),
        (Platform("windows", "amd64"), Platform("linux", "amd64"), False),
        (Platform("unknown", "unknown"), Platform("linux", "amd64"), False),
    ],
)
def test_what_runs_where(image: Platform, here: Platform, *, runs: bool):
    assert runs_on(image, here) is runs


def test_the_nearest_variant_is_chosen():
    entries = index(
        Platform("linux", "arm", "v6"),
        ARM7,
        Platform("linux", "arm", "v5"),
        Platform("linux", "arm64"),
    )

    assert choose(entries, ARM7).platform == ARM7


def test_an_entry_that_says_no_platform_is_for_all_but_one_that_fits_is_better():
    here = Platform("linux", "amd64")

    assert choose(index(None), here).platform is None
    assert choose(index(None, here), here).platform == here


def test_an_index_without_an_image_for_here_is_refused():
    with pytest.raises(BadInput, match="it has linux/arm64"):
        choose(index(Platform("linux", "arm64")), Platform("linux", "amd64"))
    with pytest.raises(BadInput, match="it has nothing"):
        choose(index(), Platform("linux", "amd64"))
