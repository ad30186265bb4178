"""Keys change hands: what a lost key has signed is signed anew, and python-tuf follows the root."""

from pathlib import Path

import pytest

from ota.release.keys import made
from ota.release.verifying import verified
from tests.ota.release.test_ci_alone import python_tuf
from tests.ota.release_kit import Kit, built


@pytest.fixture
def kit(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        yield kit


def cosign(kit: Kit, *labels: str) -> None:
    for label in labels:
        kit.must("cosign", "--key", kit.key(label))


def test_a_new_root_needs_the_old_ones_word(kit: Kit, now_ns: int):
    made(kit.key("root-4"))
    made(kit.key("root-5"))
    kit.must(
        "rotate", "root", "--remove", "root-1", "--remove", "root-2",
        "--add-person", f"root-4={kit.key('root-4')}", "--add-person", f"root-5={kit.key('root-5')}",
    )  # fmt: skip
    cosign(kit, "root-4", "root-5")
    assert kit.open().versions("root") == [1]  # the new root's own keys do not do

    cosign(kit, "root-1")
    assert kit.open().versions("root") == [1]
    cosign(kit, "root-3")

    assert kit.open().versions("root") == [1, 2]
    files = kit.open().files()
    assert verified(files.get, files["1.root.json"], now_ns).versions["root"] == 2
    assert python_tuf(kit, files).get_targetinfo("system/1.0.0.img") is not None


def test_a_revoked_key_of_ci_counts_for_nothing(kit: Kit, now_ns: int):
    made(kit.key("ci-2"))
    kit.must("revoke", "--key", "ci")
    kit.must("rotate", "releases", "--add-ci", f"ci-2={kit.key('ci-2')}")
    cosign(kit, "targets-1", "targets-3")
    assert "is in no role" in kit.run("sign", "--key", kit.key("ci")).sentence
    blocked = kit.run("timestamp", "--key", kit.key("timestamp-1"))
    assert blocked.code == 1

    kit.must("sign", "--key", kit.key("ci-2"))
    cosign(kit, "owner-2")
    kit.stamp()

    kit.must("verify")  # the new key vouches for the builds, too
    files = kit.open().files()
    assert python_tuf(kit, files).get_targetinfo("system/1.0.0.img") is not None


def test_a_snapshot_does_not_go_out_between_new_keys_and_their_signatures(kit: Kit):
    made(kit.key("ci-2"))
    kit.must("revoke", "--key", "ci")
    kit.must("rotate", "releases", "--add-ci", f"ci-2={kit.key('ci-2')}")
    cosign(kit, "targets-1", "targets-3")

    ran = kit.run(
        "timestamp", "--key", kit.key("timestamp-1"), "--snapshot-key", kit.key("snapshot-1")
    )

    assert ran.code == 1
    assert "releases has new keys that have not signed it yet" in ran.sentence


def test_a_revoked_image_goes_with_its_bundle(kit: Kit, now_ns: int):
    kit.must("revoke", "--image", "brake/1.0.0.bin")
    kit.sign_all()

    files = kit.open().files()
    assert set(verified(files.get, files["1.root.json"], now_ns).images) == {
        "battery-health/1.0.0.json",
        "system/1.0.0.img",
        "maps/1.0.0.tar",
    }


def test_a_threshold_that_cannot_be_met_is_refused(kit: Kit):
    ran = kit.run("rotate", "root", "--remove", "root-1", "--remove", "root-2")

    assert ran.code == 1
    assert "has 1 keys and a threshold of 2" in ran.sentence
    assert kit.open().drafts() == []


def test_a_role_is_renewed_before_it_ends(kit: Kit):
    kit.must("rotate", "targets")
    cosign(kit, "targets-1", "targets-2")

    assert kit.open().versions("targets") == [1, 2]


def test_an_online_key_is_replaced(kit: Kit, now_ns: int):
    made(kit.key("timestamp-9"))
    kit.must(
        "rotate", "timestamp", "--remove", "timestamp-1",
        "--add-online", f"timestamp-9={kit.key('timestamp-9')}",
    )  # fmt: skip
    cosign(kit, "root-1", "root-2")
    more = ("--snapshot-key", kit.key("snapshot-1"), "--always")
    old = kit.run("timestamp", "--key", kit.key("timestamp-1"), *more)
    kit.must("timestamp", "--key", kit.key("timestamp-9"), *more)

    assert old.code == 1
    assert "is none of role timestamp" in old.sentence
    files = kit.open().files()
    assert verified(files.get, files["1.root.json"], now_ns).versions["root"] == 2
