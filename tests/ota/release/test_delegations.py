"""Suppliers have their own role and paths; bins keep files small."""

from pathlib import Path

import pytest

from ota.release.keys import made
from ota.release.listing import listed
from ota.release.verifying import verified
from tests.ota.release.test_ci_alone import python_tuf
from tests.ota.release_kit import Kit, built, release


def supplier(kit: Kit, *words: object) -> None:
    for label in ("acme-ci", "acme-boss"):
        made(kit.key(label))
    kit.must(
        "delegate", "acme",
        "--ci", f"acme-ci={kit.key('acme-ci')}",
        "--person", f"acme-boss={kit.key('acme-boss')}",
        *words,
    )  # fmt: skip
    for label in ("targets-1", "targets-2"):
        kit.must("cosign", "--key", kit.key(label))


def test_a_supplier_signs_its_own_images_and_nobody_elses(tmp_path: Path, now_ns: int):
    with built(tmp_path) as kit:
        kit.sign_all()
        supplier(kit, "--prefix", "suppliers/acme")
        kit.must("build", kit.write(release("1.0.0", 'role = "acme"'), "acme.toml"))
        kit.must("sign", "--key", kit.key("acme-ci"))
        assert "is in no role" not in kit.run("sign", "--key", kit.key("ci")).sentence
        kit.must("cosign", "--key", kit.key("acme-boss"))
        kit.stamp()
        files = kit.open().files()
        seen = verified(files.get, files["1.root.json"], now_ns)
        theirs = python_tuf(kit, files).get_targetinfo("suppliers/acme/system/1.0.0.img")

    assert seen.images["suppliers/acme/system/1.0.0.img"].role == "acme"
    assert seen.images["system/1.0.0.img"].role == "releases"
    assert theirs is not None


@pytest.mark.parametrize("words", [("--threshold", 1), ("--person", "boss=nowhere.pem")])
def test_a_supplier_whose_ci_could_sign_alone_gets_no_role(tmp_path: Path, words):
    with built(tmp_path) as kit:
        kit.sign_all()
        made(kit.key("acme-ci"))
        ran = kit.run("delegate", "acme", "--ci", f"acme-ci={kit.key('acme-ci')}", *words)

        assert ran.code == 1
        assert kit.open().drafts() == []


def test_images_lie_in_bins_by_the_hash_of_their_path(tmp_path: Path, now_ns: int):
    with built(tmp_path, "--bins", 4) as kit:
        kit.sign_all()
        places = {one.role for one in listed(kit.open()).values()}
        files = kit.open().files()
        seen = verified(files.get, files["1.root.json"], now_ns)
        found = python_tuf(kit, files).get_targetinfo("brake/1.0.0.bin")
        kit.must("publish", kit.path / "public")
        kit.must("verify")

    assert places <= {f"releases-bin-{number}" for number in range(4)}
    assert len(seen.images) == 5
    assert found is not None


def test_bins_get_new_keys_with_their_role(tmp_path: Path):
    with built(tmp_path, "--bins", 4) as kit:
        kit.sign_all()
        made(kit.key("owner-9"))
        kit.must("rotate", "releases", "--add-person", f"owner-9={kit.key('owner-9')}")
        for label in ("targets-1", "targets-2"):
            kit.must("cosign", "--key", kit.key(label))
        kit.must("sign", "--key", kit.key("ci"))
        kit.must("cosign", "--key", kit.key("owner-9"))
        kit.stamp()

        kit.must("verify")
        assert kit.open().drafts() == []


def test_a_count_of_bins_that_is_none_is_refused(tmp_path: Path):
    ran = Kit(tmp_path).run(
        "init", tmp_path / "rel", "--keys", tmp_path / "k", "--bins", 3, here=False
    )

    assert ran.code == 1
    assert "--bins 3 is no power of two" in ran.sentence
