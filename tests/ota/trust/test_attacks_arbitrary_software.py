"""Arbitrary software, threshold cheating, root theft, stolen keys of the Director, of CI, of what is online."""

import json

import pytest
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.metadata import TargetFile

from ota.custom import image_to_target
from ota.trust.model import Attack, Repository
from tests.ota.repository_simulator import TOP, RepositorySimulator, World, image, new_key
from tests.ota.trust.verdicts import attack, images


@pytest.fixture(params=["director", "images"])
def attacked(request: pytest.FixtureRequest, world: World) -> RepositorySimulator:
    """Each of the two repositories."""
    repository: RepositorySimulator = getattr(world, request.param)
    return repository


def signed_by(repository: RepositorySimulator, role: str, signer: CryptoSigner) -> None:
    """Publish with a role that somebody else has signed."""
    repository.signers[role] = {signer.public_key.keyid: signer}
    repository.changed_roots = role == "root"
    repository.publish()


@pytest.mark.parametrize("role", TOP)
def test_arbitrary_software_signed_with_a_key_of_nobody(
    world: World, attacked: RepositorySimulator, role: str
):
    signed_by(attacked, role, new_key())

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


@pytest.mark.parametrize("role", TOP)
def test_arbitrary_software_without_signatures(
    world: World, attacked: RepositorySimulator, role: str
):
    attacked.signers[role] = {}
    attacked.changed_roots = role == "root"
    attacked.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("other", ["timestamp", "snapshot", "targets"])
def test_arbitrary_software_signed_with_the_key_of_another_role(
    world: World, attacked: RepositorySimulator, role: str, other: str
):
    if role == other:
        attacked.publish()
        assert images(world.look()) == {"br-1": "brake/2.bin"}
        return
    signed_by(attacked, role, next(iter(attacked.signers[other].values())))

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_arbitrary_software_by_the_other_repository(world: World, attacked: RepositorySimulator):
    """One repository's keys are nobody in the other."""
    other = world.images if attacked is world.director else world.director
    signed_by(attacked, "targets", next(iter(other.signers["targets"].values())))

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


@pytest.mark.parametrize("field", ["length", "hashes"])
def test_arbitrary_software_on_which_the_repositories_disagree(world: World, field: str):
    other = {"length": 12, "hashes": {"sha256": "ab" * 32}}[field]
    world.order("br-1", "brake/2.bin", **{field: other})
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_arbitrary_software_by_a_second_hash_that_differs(world: World):
    listed = world.images.targets.targets["brake/2.bin"]
    listed.hashes["sha512"] = "ab" * 64
    both = dict(listed.hashes) | {"sha512": "cd" * 64}
    world.order("br-1", "brake/2.bin", hashes=both)
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_stolen_director_keys_install_nothing_of_their_own(world: World):
    """All keys of the Director, root too: it lists an image that the Image repository has never seen."""
    evil = image("brake/evil.bin", "brake-fw", 99, "brake")
    said = image_to_target(evil)
    world.orders_nothing()
    custom = {"ecuIdentifiers": {"br-1": {"hardwareId": "brake"}}, "release_counter": 99}
    world.director.targets.targets["brake/evil.bin"] = TargetFile.from_dict(
        {**said, "custom": custom}, "brake/evil.bin"
    )
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_stolen_director_keys_cannot_roll_back(world: World):
    world.hold("br-1", "brake-fw", 2)
    world.orders_nothing()
    world.order("br-1", "brake/1.bin", downgrade=True)
    world.publish()

    assert attack(world.look()) is Attack.IMAGE_ROLLBACK


def test_stolen_online_keys_of_the_image_repository_install_nothing(world: World):
    """Snapshot and timestamp keys are online; targets are signed offline."""
    evil = image("brake/evil.bin", "brake-fw", 99, "brake")
    world.images.targets.targets["brake/evil.bin"] = TargetFile.from_dict(
        image_to_target(evil), "brake/evil.bin"
    )
    thief = next(iter(world.images.signers["snapshot"].values()))
    world.order("br-1", "brake/evil.bin")
    del world.director.targets.targets["brake/2.bin"]
    world.director.publish()
    signed_by(world.images, "targets", thief)

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_stolen_ci_key_alone_releases_nothing(world: World):
    """The release role needs the CI's key and one of a person: one of two is refused by every vehicle."""
    ci, person = new_key(), new_key()
    release = world.images.delegate("targets", "release", ["app/*"], threshold=2)
    for signer in (ci, person):
        world.images.add_key("release", parent="targets", signer=signer)
    assert release is world.images.roles["release"]
    world.release("app/1", "app", 1, hardware="gateway", role="release")
    world.order("gw-1", "app/1")
    world.images.signers["release"] = {ci.public_key.keyid: ci}
    world.publish()

    verdict = world.look()
    assert attack(verdict) is Attack.ARBITRARY_SOFTWARE
    assert "it has 1 of the 2 signatures" in str(verdict)

    world.images.signers["release"][person.public_key.keyid] = person
    world.publish()
    assert images(world.look())["gw-1"] == "app/1"


def test_revoked_key_of_ci_releases_nothing_more(world: World):
    ci = new_key()
    world.images.delegate("targets", "release", ["app/*"])
    world.images.signers["release"] = {}
    world.images.add_key("release", parent="targets", signer=ci)
    world.release("app/1", "app", 1, hardware="gateway", role="release")
    world.order("gw-1", "app/1")
    world.publish()
    assert images(world.look())["gw-1"] == "app/1"

    world.images.targets.revoke_key(ci.public_key.keyid, "release")
    world.publish()
    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_root_key_theft_of_one_of_two_rotates_nothing(world: World, attacked: RepositorySimulator):
    attacked.add_key("root")
    attacked.root.roles["root"].threshold = 2
    attacked.changed_roots = True
    world.publish()
    world.look()

    stolen = dict([next(iter(attacked.signers["root"].items()))])
    attacked.rotate("targets")
    attacked.signers["root"] = stolen
    attacked.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_root_rotation_needs_the_old_keys_and_the_new(world: World, attacked: RepositorySimulator):
    before = dict(attacked.signers["root"])
    attacked.rotate("root")
    new = {k: v for k, v in attacked.signers["root"].items() if k not in before}
    attacked.root.version += 1
    for signers in (before, new):
        attacked.put("root", attacked.sign(attacked.root, "root", signers.values()))
        assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE

    both = [*before.values(), *new.values()]
    attacked.put("root", attacked.sign(attacked.root, "root", both))
    assert images(world.look()) == {"br-1": "brake/2.bin"}


def test_root_that_skips_a_version(world: World, attacked: RepositorySimulator):
    content = attacked.root
    content.version += 2
    attacked.put("root", attacked.sign(content, "root"), version=content.version - 1)

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_metadata_of_another_type_with_the_right_signature(
    world: World, attacked: RepositorySimulator
):
    signer = next(iter(attacked.signers["timestamp"].values()))
    attacked.files["timestamp.json"] = attacked.sign(attacked.targets, "targets", [signer])

    assert attack(world.look()) is Attack.MALFORMED


def test_threshold_cheating_by_one_key_under_two_ids(world: World):
    """The same key, called otherwise, is one signature."""
    key = next(iter(world.images.signers["targets"].values()))
    twin = CryptoSigner(
        key._private_key,
        SSlibKey("f" * 64, key.public_key.keytype, key.public_key.scheme, key.public_key.keyval),
    )
    world.images.add_key("targets", signer=twin)
    world.images.root.roles["targets"].threshold = 2
    world.images.changed_roots = True
    world.publish()

    verdict = world.look()
    assert attack(verdict) is Attack.ARBITRARY_SOFTWARE
    assert "1 of the 2" in str(verdict)


def test_threshold_cheating_by_one_signature_twice(world: World, attacked: RepositorySimulator):
    name = f"{attacked.targets.version}.targets.json"
    said = json.loads(attacked.files[name])
    said["signatures"] *= 2
    attacked.files[name] = json.dumps(said).encode()
    attacked.with_hashes = False
    attacked.snapshot.meta = {}
    attacked.publish(skip=["targets"])

    assert attack(world.look()) is Attack.MALFORMED


def test_threshold_cheating_by_a_key_that_stands_twice(world: World, attacked: RepositorySimulator):
    said = json.loads(attacked.files["1.root.json"])
    said["signed"]["roles"]["targets"]["keyids"] *= 2
    said["signed"]["version"] = 2
    attacked.files["2.root.json"] = json.dumps(said).encode()

    assert attack(world.look()) is Attack.MALFORMED


@pytest.mark.parametrize("threshold", [0, -1, "1", None, 1.5])
def test_threshold_of_zero(world: World, attacked: RepositorySimulator, threshold: object):
    said = json.loads(attacked.files["1.root.json"])
    said["signed"]["roles"]["timestamp"]["threshold"] = threshold
    said["signed"]["version"] = 2
    attacked.files["2.root.json"] = json.dumps(said).encode()

    assert attack(world.look()) is Attack.MALFORMED


def test_a_kind_of_key_that_is_not_known_counts_as_none(world: World):
    key = next(iter(world.images.signers["targets"].values())).public_key
    foreign: Key = SSlibKey(key.keyid, "ecdsa", "ecdsa-sha2-nistp521", key.keyval)
    world.images.root.keys[key.keyid] = foreign
    world.images.changed_roots = True
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


@pytest.mark.parametrize("make", [CryptoSigner.generate_ed25519, CryptoSigner.generate_rsa])
def test_keys_of_other_kinds_verify(world: World, make: object):
    assert callable(make)
    for repository in (world.director, world.images):
        repository.add_key("targets", signer=make())
        repository.root.roles["targets"].threshold = 2
        repository.changed_roots = True
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}


def test_endless_data(world: World, attacked: RepositorySimulator):
    asked = {}

    def swollen(wanted, content):
        if wanted.repository is attacked.repository and wanted.name.endswith("timestamp.json"):
            asked["max_bytes"] = wanted.max_bytes
            return content + b" " * wanted.max_bytes
        return content

    world.on_wanted = swollen

    assert attack(world.look()) is Attack.ENDLESS_DATA
    assert asked["max_bytes"] == 16_384


@pytest.mark.parametrize(
    ("name", "most"),
    [("2.root.json", 512_000), ("2.snapshot.json", 2_000_000), ("2.targets.json", 5_000_000)],
)
def test_endless_data_has_a_cap_for_each_role(world: World, name: str, most: int):
    wanted_bytes = {}

    def noted(wanted, content):
        wanted_bytes[wanted.repository, wanted.name] = wanted.max_bytes
        return content

    world.on_wanted = noted
    world.look()

    assert wanted_bytes[Repository.IMAGE, name] == most


def test_endless_data_is_bounded_by_a_length_that_was_signed(world: World):
    world.images.with_lengths = True
    world.publish()
    name = f"{world.images.targets.version}.targets.json"
    world.images.files[name] += b" "

    assert attack(world.look()) is Attack.ENDLESS_DATA
