"""A push from CI alone never reaches a customer vehicle: no verifier takes what its key alone has signed."""

from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from fairway.errors import BadInput, Tampered
from ota.release import vehicle
from ota.release.keys import Holder, TufSigner, opened
from ota.release.listing import listed
from ota.release.plan import RELEASES, SNAPSHOT, TIMESTAMP, Hands, checked
from ota.release.verifying import verified
from tests.ota.release_kit import Kit, built


class Shelf(FetcherInterface):
    """Files by name, as a web server has them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def _fetch(self, url: str):
        from tuf.api.exceptions import DownloadHTTPError  # noqa: PLC0415

        name = url.rpartition("/")[2]
        if name not in self.files:
            raise DownloadHTTPError(name, 404)
        return iter([self.files[name]])


@pytest.fixture
def kit(tmp_path: Path):
    with built(tmp_path) as kit:
        yield kit


def forged(kit: Kit) -> dict[str, bytes]:
    """What a thief brings out: the release signed by CI alone, with online keys that are stolen, too."""
    kit.must("sign", "--key", kit.key("ci"))
    folder = kit.open()
    draft = folder.draft(RELEASES)
    assert draft is not None
    files = folder.files()
    version = draft.signed.version
    files[f"{version}.{RELEASES}.json"] = draft.to_bytes()
    snapshot = folder.need(SNAPSHOT)
    snapshot.signed.version += 1
    snapshot.signed.meta[f"{RELEASES}.json"].version = version
    stamp = folder.need(TIMESTAMP)
    stamp.signed.version += 1
    stamp.signed.snapshot_meta.version = snapshot.signed.version
    for metadata, label in ((snapshot, "snapshot-1"), (stamp, "timestamp-1")):
        metadata.sign(opened(kit.key(label)))
    files[f"{snapshot.signed.version}.{SNAPSHOT}.json"] = snapshot.to_bytes()
    files["timestamp.json"] = stamp.to_bytes()
    return files


def python_tuf(kit: Kit, files: dict[str, bytes]) -> Updater:
    cache = kit.path / "cache"
    cache.mkdir(exist_ok=True)
    root = files["1.root.json"]
    place = "https://vehicles.example"
    return Updater(str(cache), place, str(cache), place, Shelf(files), bootstrap=root)


def test_publishing_stops_at_the_missing_signature(kit: Kit):
    kit.must("sign", "--key", kit.key("ci"))

    ran = kit.run("publish", kit.path / "public")

    assert ran.code == 1
    assert "awaiting signature: 1 of 2 (ci); may sign: owner-1, owner-2" in ran.sentence
    assert not list((kit.path / "public").rglob("*.json"))


def test_no_verifier_takes_it_though_snapshot_and_timestamp_are_stolen_too(kit: Kit, now_ns: int):
    files = forged(kit)

    with pytest.raises(Tampered, match="not signed by enough keys of role releases"):
        verified(files.get, files["1.root.json"], now_ns)
    image = listed(kit.open())["system/1.0.0.img"].image
    with pytest.raises(Tampered, match="releases"):
        vehicle.taken(files.get, files["1.root.json"], [image], now_ns)
    updater = python_tuf(kit, files)
    updater.refresh()
    with pytest.raises(RepositoryError, match="releases was signed by 1/2 keys"):
        updater.get_targetinfo("system/1.0.0.img")


def test_the_same_with_a_persons_signature_is_taken(kit: Kit, now_ns: int):
    kit.sign_all()
    files = kit.open().files()

    seen = verified(files.get, files["1.root.json"], now_ns)
    found = python_tuf(kit, files).get_targetinfo("system/1.0.0.img")

    assert found is not None
    assert found.hashes["sha256"] == seen.images["system/1.0.0.img"].image.sha256


def test_ci_signing_twice_is_one_signature(kit: Kit):
    kit.must("sign", "--key", kit.key("ci"))

    ran = kit.run("sign", "--key", kit.key("ci"))

    assert (ran.code, ran.sentence) == (
        1,
        "ota-release: nothing awaits a signature of ci: it has signed, or nothing has changed",
    )


def test_a_pipeline_does_not_sign_as_a_person(kit: Kit):
    ran = kit.run("cosign", "--key", kit.key("ci"))

    assert ran.code == 1
    assert "ci is a key of kind ci: CI signs with `ota-release sign`" in ran.sentence


def test_a_key_of_nobody_is_refused(kit: Kit, tmp_path: Path):
    from ota.release.keys import made  # noqa: PLC0415

    made(str(tmp_path / "thief.pem"))

    ran = kit.run("sign", "--key", tmp_path / "thief.pem")

    assert ran.code == 1
    assert "is in no role" in ran.sentence


def test_what_was_changed_after_the_build_is_not_signed(kit: Kit):
    image = next(one for one in kit.open().path.glob("blobs/*") if one.stat().st_size > 1 << 20)
    data = bytearray(image.read_bytes())
    data[1000] ^= 1
    image.write_bytes(data)

    ran = kit.run("sign", "--key", kit.key("ci"))

    assert ran.code == 1
    assert "has been changed" in ran.sentence


def test_a_list_that_names_other_bytes_than_were_built_is_not_cosigned(kit: Kit):
    """A thief of the pipeline's store changes bytes and list together; the statement of the build tells."""
    kit.must("sign", "--key", kit.key("ci"))
    folder = kit.open()
    draft = folder.draft(RELEASES)
    assert draft is not None
    evil = folder.put_bytes(b"evil" * 100)
    target = draft.signed.targets["system/1.0.0.img"]
    target.hashes["sha256"], target.length = evil.sha256, evil.length
    target.unrecognized_fields["custom"].pop("chunk_bytes")
    target.unrecognized_fields["custom"].pop("chunks_sha256")
    draft.signatures.clear()
    draft.sign(TufSigner(opened(kit.key("ci"))._signer))
    folder.put_draft(RELEASES, draft)

    ran = kit.run("cosign", "--key", kit.key("owner-1"))

    assert ran.code == 1
    assert "system/1.0.0.img is not what was built" in ran.sentence


def test_nothing_is_cosigned_for_whose_build_nobody_vouches(kit: Kit):
    ran = kit.run("cosign", "--key", kit.key("owner-1"))

    assert ran.code == 1
    assert "nobody vouches for the build of head-unit/1.0.0.bundle.json" in ran.sentence


@pytest.mark.parametrize(
    ("threshold", "holders", "why"),
    [
        (1, (Holder.CI, Holder.PERSON), "would meet it alone"),
        (2, (Holder.CI, Holder.CI, Holder.PERSON), "would meet it alone"),
        (3, (Holder.CI, Holder.PERSON), "can never be met"),
        (2, (Holder.CI, Holder.ONLINE, Holder.PERSON), "has a key that is online"),
    ],
)
def test_roles_that_ci_could_meet_alone_are_not_made(threshold, holders, why):
    with pytest.raises(BadInput, match=why):
        checked(Hands(RELEASES, threshold, holders))


def test_a_second_key_of_ci_does_not_get_in(kit: Kit):
    kit.must("sign", "--key", kit.key("ci"))
    kit.must("cosign", "--key", kit.key("owner-1"))

    ran = kit.run("rotate", "releases", "--add-ci", f"ci-2={kit.key('targets-1')}")

    assert ran.code == 1
    assert "2 keys of CI, which would meet it alone" in ran.sentence


def test_metadata_whose_role_ci_could_meet_alone_is_refused_though_it_is_signed(kit: Kit, now_ns):
    kit.sign_all()
    folder = kit.open()
    files = folder.files()
    targets = Metadata.from_bytes(files["1.targets.json"])
    targets.signed.delegations.roles[RELEASES].threshold = 1  # type: ignore[attr-defined]
    targets.signatures.clear()
    for label in ("targets-1", "targets-2"):
        targets.sign(opened(kit.key(label)), append=True)
    files["1.targets.json"] = targets.to_bytes()

    with pytest.raises(BadInput, match="would meet it alone"):
        verified(files.get, files["1.root.json"], now_ns)
