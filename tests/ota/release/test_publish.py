"""What is published is whole, is sent once, and is verified where it lies."""

import shutil
from pathlib import Path

import pytest

from fairway.errors import Unavailable
from ota.manifest import Blob
from ota.release import publishing
from ota.release.places.folder import FolderPlace
from ota.release.places.memory import MemoryPlace
from tests.ota.release_kit import DAY_NS, Kit, built, inputs, release


@pytest.fixture
def kit(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        yield kit


class Cut(MemoryPlace):
    """A line that is cut before the third blob."""

    left = 2

    def send(self, blob: Blob, path: Path) -> None:
        if not self.left:
            raise Unavailable("the line was cut")
        self.left -= 1
        super().send(blob, path)


def quiet(_what: str) -> None:
    pass


def test_it_goes_on_where_it_was_cut_and_sends_nothing_twice(kit: Kit, now_ns: int):
    place = Cut()
    with pytest.raises(Unavailable):
        publishing.publish(kit.open(), place, now_ns, quiet)
    assert len(place.blobs) == 2
    assert place.files == {}  # what is not whole does not count

    place.left = 1000
    sent = publishing.publish(kit.open(), place, now_ns, quiet)
    again = publishing.publish(kit.open(), place, now_ns, quiet)

    assert sent.blobs == len(place.blobs) - 2
    assert (again.blobs, again.files) == (0, ())


def test_bytes_may_go_before_the_signatures(tmp_path: Path):
    with built(tmp_path) as kit:
        first = kit.must("publish", tmp_path / "public", "--bytes-only", "--json").json
        kit.sign_all()
        second = kit.must("publish", tmp_path / "public", "--json").json

    assert first["files"] == []
    assert second["blobs_sent"] == 1  # the envelope that vouches came with CI's signature
    assert second["blobs_there"] == first["blobs_sent"]


def test_a_folder_serves_clients_of_tuf_as_it_lies(kit: Kit, tmp_path: Path):
    kit.must("publish", tmp_path / "public")
    image = kit.run("inspect", "brake/1.0.0.bin", "--json").json

    path = tmp_path / "public" / "targets" / "brake" / f"{image['sha256']}.1.0.0.bin"
    assert path.read_bytes() == kit.open().blob_path(image["sha256"]).read_bytes()


def test_a_place_that_is_ahead_is_not_set_back(kit: Kit, tmp_path: Path):
    shutil.copytree(kit.folder, tmp_path / "old")
    kit.stamp("--always")
    kit.must("publish", tmp_path / "public")

    old = Kit(tmp_path)
    shutil.rmtree(kit.folder)
    (tmp_path / "old").rename(kit.folder)
    ran = old.run("publish", tmp_path / "public")

    assert ran.code == 1
    assert "take the newer state with `ota-release timestamp --place`" in ran.sentence


def signed_meanwhile(kit: Kit, tmp_path: Path, times: int) -> None:
    """A cloud with an online key signs snapshot and timestamp anew before they end."""
    kit.must("publish", tmp_path / "public")
    other = tmp_path / "cloud"
    shutil.copytree(kit.folder, other / "rel")
    shutil.copytree(kit.keys, other / "keys")
    cloud = Kit(other)
    for _ in range(times):
        cloud.stamp("--always")
    cloud.must("publish", tmp_path / "public")
    inputs(tmp_path, seed=2)
    kit.must("build", kit.write(release("1.1.0")))
    kit.must("sign", "--key", kit.key("ci"))
    kit.must("cosign", "--key", kit.key("owner-2"))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_who_stamped_without_looking_goes_on_after_what_the_cloud_signed(
    kit: Kit, tmp_path: Path, times: int
):
    signed_meanwhile(kit, tmp_path, times)
    kit.stamp()
    refused = kit.run("publish", tmp_path / "public")

    assert refused.code == 1
    assert "take the newer state with `ota-release timestamp --place`" in refused.sentence
    kit.stamp("--place", tmp_path / "public")
    kit.must("publish", tmp_path / "public")

    proof = kit.must("verify", "--place", tmp_path / "public", "--json").json
    assert proof["versions"] == kit.must("verify", "--json").json["versions"]
    assert proof["images"] == 10


def test_what_the_cloud_signed_meanwhile_is_taken_over(kit: Kit, tmp_path: Path):
    signed_meanwhile(kit, tmp_path, 3)
    kit.stamp("--place", tmp_path / "public")
    kit.must("publish", tmp_path / "public")

    kit.must("verify", "--place", tmp_path / "public")


def test_what_ended_is_not_published(kit: Kit, now_ns: int):
    with pytest.raises(Exception, match="ended on"):
        publishing.publish(kit.open(), MemoryPlace(), now_ns + 2 * DAY_NS, quiet)


def test_bytes_that_are_not_here_are_a_sentence(kit: Kit, tmp_path: Path):
    shutil.rmtree(kit.folder / "blobs")
    (kit.folder / "blobs").mkdir()

    ran = kit.run("publish", tmp_path / "public")

    assert ran.code == 1
    assert "build the release again" in ran.sentence


def test_bytes_changed_where_they_were_published_are_found(kit: Kit, tmp_path: Path):
    public = tmp_path / "public"
    kit.must("publish", public)
    image = kit.run("inspect", "brake/1.0.0.bin", "--json").json
    (public / "blobs" / image["sha256"]).unlink()

    ran = kit.run("verify", "--place", public)

    assert ran.code == 1
    assert "are not published" in ran.sentence
    assert not FolderPlace(public).holds(Blob(image["sha256"], image["length"]))


def test_a_role_that_was_taken_from_the_snapshot_is_missed(kit: Kit, tmp_path: Path):
    public = tmp_path / "public"
    kit.must("publish", public)
    newest = max((public / "metadata").glob("*.releases.json"))
    newest.unlink()

    ran = kit.run("verify", "--place", public)

    assert ran.code == 1
    assert f"{newest.name} is missing" in ran.sentence


def test_a_foreign_root_is_not_trusted(kit: Kit, tmp_path: Path):
    (tmp_path / "other").mkdir()
    foreign = Kit(tmp_path / "other").init()

    ran = kit.run("verify", "--root", foreign.folder / "metadata" / "1.root.json")

    assert ran.code == 1
    assert "is not signed by enough keys" in ran.sentence


def test_two_programs_do_not_work_in_one_folder(kit: Kit):
    with kit.open().locked():
        ran = kit.run("inspect")

    assert ran.code == 1
    assert "another ota-release works in" in ran.sentence


def test_differences_are_listed_with_the_image_they_give(kit: Kit, tmp_path: Path):
    pytest.importorskip("detools")
    inputs(tmp_path, seed=2)
    kit.must("build", kit.write(release("1.1.0")))
    said = kit.must("delta", "system/1.1.0.img", "--json").json[0]
    kit.sign_all()
    proof = kit.must("verify", "--json").json
    image = kit.run("inspect", "system/1.1.0.img", "--json").json

    kept = {one["form"] for one in said["made"] if one["kept"]}
    assert said["base"] == "system/1.0.0.img"
    assert kept
    assert all(one["bytes"] < said["full_bytes"] / 2 for one in said["made"])
    assert kept <= {one["form"] for one in image["sources"]}
    assert proof["applied"] >= 2 + len(kept)
    assert kit.must("build", tmp_path / "release.toml", "--json").json["changed"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("brake/1.0.0.bin",), "is the first of its name"),
        (("nothing/1.0.0.img",), "no image is listed as"),
        (("battery-health/1.0.0.json",), "is a container: its parts are fetched by their digests"),
        (("brake/1.0.0.bin", "--base", "brake/1.0.0.bin"), "have the same bytes"),
    ],
)
def test_a_difference_of_nothing_is_one_sentence(kit: Kit, words: tuple[str, ...], why: str):
    ran = kit.run("delta", *words)

    assert ran.code == 1
    assert why in ran.sentence
