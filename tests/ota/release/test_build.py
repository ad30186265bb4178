"""A release is built: the same input is the same bytes, and what it is made of is said."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ota.custom import own_blob
from ota.manifest import CHUNK_BYTES, Form, Image, Kind
from ota.release.listing import listed
from ota.release.provenance import PREDICATE_TYPE, STATEMENT_TYPE
from tests.ota.release_kit import Kit, built, inputs, release


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory):
    with built(tmp_path_factory.mktemp("built")) as kit:
        yield kit


def images(kit: Kit) -> dict[str, Image]:
    return {path: one.image for path, one in listed(kit.open()).items()}


def test_each_component_is_an_image_of_its_kind(kit: Kit):
    assert {path: image.kind for path, image in images(kit).items()} == {
        "battery-health/1.0.0.json": Kind.CONTAINER,
        "system/1.0.0.img": Kind.SLOT,
        "brake/1.0.0.bin": Kind.FIRMWARE,
        "maps/1.0.0.tar": Kind.FILE,
        "head-unit/1.0.0.bundle.json": Kind.BUNDLE,
    }


def test_the_same_input_is_the_same_bytes_elsewhere_and_later(kit: Kit, tmp_path: Path):
    with built(tmp_path) as other:
        ours, theirs = images(kit), images(other)

    assert {path: image.sha256 for path, image in ours.items()} == {
        path: image.sha256 for path, image in theirs.items()
    }
    assert ours == theirs  # chunk lists, packed forms, counters, all
    names = [sorted(one.name for one in each.folder.glob("*/*")) for each in (kit, other)]
    assert names[0] == names[1]


def test_an_image_has_chunks_and_a_packed_form(kit: Kit):
    image = images(kit)["system/1.0.0.img"]
    data = kit.open().blob_path(image.sha256).read_bytes()
    blob = own_blob(image)
    chunks = kit.open().blob_path(blob.chunks_sha256).read_bytes()

    assert blob.chunk_bytes == CHUNK_BYTES
    assert chunks == b"".join(
        hashlib.sha256(data[at : at + CHUNK_BYTES]).digest()
        for at in range(0, len(data), CHUNK_BYTES)
    )
    assert [one.form for one in image.sources] == [Form.PLAIN, Form.ZSTD]
    assert image.sources[1].blob.length < image.length


def test_intel_hex_becomes_a_binary_and_its_address(kit: Kit):
    image = images(kit)["brake/1.0.0.bin"]

    assert image.address == 0x08000000
    assert kit.open().blob_path(image.sha256).read_bytes() == (
        bytes(range(16)) + bytes.fromhex("aabbccdd") + b"\xff" * 12 + bytes.fromhex("11223344")
    )


def test_a_container_carries_its_manifest_and_the_bytes_it_names(kit: Kit):
    image = images(kit)["battery-health/1.0.0.json"]
    folder = kit.open()
    manifest = json.loads(folder.blob_path(image.sha256).read_bytes())

    assert image.service["image"] == f"sha256:{image.sha256}"
    assert image.service["name"] == "battery-health"
    for part in (manifest["config"], *manifest["layers"]):
        assert folder.blob_path(part["digest"].removeprefix("sha256:")).exists()


def test_the_bill_of_materials_is_cyclonedx_with_what_was_found(kit: Kit):
    said = kit.run("inspect", "head-unit/1.0.0.bundle.json", "--json").json
    text = kit.open().need_document(said["bundle"]["sbom_sha256"][0]).decode()
    bill = json.loads(text)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {"pkg:pypi/reader@1.2"} == {one["purl"] for one in bill["components"] if "purl" in one}
    assert {one["name"] for one in bill["components"]} >= {"battery-health", "system", "brake"}


def test_the_statement_of_the_build_is_slsa_provenance_about_these_bytes(kit: Kit):
    said = kit.run("inspect", "head-unit/1.0.0.bundle.json", "--json").json
    statement = json.loads(kit.open().need_document(said["bundle"]["provenance_sha256"][0]))
    ours = {path: one for path, one in images(kit).items() if one.kind is not Kind.BUNDLE}

    assert (statement["_type"], statement["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        path: one.sha256 for path, one in ours.items()
    }
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [one["name"] for one in materials] == [
        "release.toml",
        "layout",
        "system.img",
        "brake.hex",
        "maps",
    ]
    assert str(kit.path) not in json.dumps(statement)


def test_building_again_changes_nothing(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        again = kit.must("build", kit.path / "release.toml", "--json").json

    assert again["changed"] == []
    assert again["waiting"] == []


def test_other_bytes_under_a_published_version_are_a_conflict(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        inputs(tmp_path, seed=2)
        ran = kit.run("build", kit.path / "release.toml")

    assert ran.code == 1
    assert "is published with other bytes: give the release a new version" in ran.sentence


def test_a_new_version_has_higher_counters(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        inputs(tmp_path, seed=2)
        kit.must("build", kit.write(release("1.1.0")))
        found = images(kit)

    assert found["system/1.1.0.img"].release_counter == 2
    assert found["head-unit/1.1.0.bundle.json"].release_counter == 2


def test_a_manifest_that_changes_without_its_image_is_refused_and_a_version_alone_is_not(
    tmp_path: Path,
):
    with built(tmp_path) as kit:
        kit.sign_all()
        kit.must("build", kit.write(release("1.1.0")))  # nothing of the service has changed
        manifest = tmp_path / "battery-health.yaml"
        manifest.write_text(manifest.read_text() + "environment: {MODE: fast}\n")
        ran = kit.run("build", kit.write(release("1.2.0")))

    assert ran.code == 1
    assert "has the image of battery-health/1" in ran.sentence
    assert "build another image" in ran.sentence


def test_a_counter_that_falls_is_refused(tmp_path: Path):
    with built(tmp_path) as kit:
        kit.sign_all()
        inputs(tmp_path, seed=2)
        text = release("1.1.0").replace(
            'name = "system"\n', 'name = "system"\nrelease_counter = 1\n'
        )
        ran = kit.run("build", kit.write(text))

    assert ran.code == 1
    assert "has release counter 1, and 1 is taken by another version of system" in ran.sentence


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'kind = "slot"',
            'kind = "slott"',
            "component[1].kind: is none: choose from container, slot",
        ),
        ('path = "system.img"', 'path = "nothing.img"', "nothing.img cannot be read"),
        ('path = "brake.hex"', 'path = "cut.hex"', "cut.hex has no end record: it was cut"),
        ('path = "maps"', 'path = "system.img"', "is neither a folder nor a tar"),
        ('rxswin = ["R79 v3"]', "rxwin = []", "there is no such key; did you mean rxswin?"),
        ('name = "maps"', 'name = "system"', "system stands there twice"),
        ('name = "maps"', 'name = "ma/ps"', "use letters, digits and"),
        ('hardware_ids = ["brake-7"]', "", "hardware_ids: is missing"),
        ('version = "1.0.0"', 'version = ""', "version: has 0 characters"),
        ('path = "maps"', 'path = "maps"\naddress = 5', "goes with kind uds_ecu"),
        ('purpose = "', "purpose = ", "is not TOML"),
    ],
)
def test_a_wrong_release_file_is_one_sentence(kit: Kit, old: str, new: str, why: str):
    (kit.path / "cut.hex").write_text(":020000040800F2\n")
    before = sorted(path.name for path in kit.folder.glob("draft/*"))

    ran = kit.run("build", kit.write(release().replace(old, new, 1), "wrong.toml"))

    assert ran.code == 1
    assert why in ran.sentence
    assert sorted(path.name for path in kit.folder.glob("draft/*")) == before


def test_a_manifest_that_names_another_image_is_refused(kit: Kit, tmp_path: Path):
    shutil.copytree(kit.path, tmp_path / "w")
    other = Kit(tmp_path / "w")
    manifest = other.path / "battery-health.yaml"
    manifest.write_text(manifest.read_text() + f"image: sha256:{'0' * 64}\n")

    ran = other.run("build", other.path / "release.toml")

    assert ran.code == 1
    assert "names image sha256:0000" in ran.sentence
