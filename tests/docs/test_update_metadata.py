"""The reference of update metadata names every field that is written, and the limits as they are."""

import json
from pathlib import Path

import pytest

from fairway.signers.file import fresh
from ota import custom, downgrade
from ota.custom import bundle_to_json, image_to_target
from ota.manifest import Blob, Bundle, Form, Image, Install, Kind, Requirement, Source
from ota.report import EcuReport, Installed, VehicleReport
from ota.report_json import REPORT_MAX_BYTES, report_to_signed
from ota.trust import agreement, delegations, metadata, top_level
from ota.trust.model import Attack

PAGE = (Path(__file__).parents[2] / "docs/reference/update-metadata.md").read_text()

SHA = "ab" * 32
BLOB = Blob(SHA, 5, 4, "cd" * 32)
IMAGE = Image(
    path="a/1",
    length=5,
    sha256=SHA,
    kind=Kind.SLOT,
    name="a",
    version="1",
    release_counter=1,
    hardware_ids=("h",),
    sources=(Source(Form.PLAIN, BLOB), Source(Form.ZSTD_PATCH, Blob(SHA, 4, 4, SHA), SHA, 9)),
    requires=(Requirement("b", 1, 2),),
    conflicts=(Requirement("c", 1, 2),),
    install=Install(1, "g", ("parked",), 9, {"en": "x"}, needs_consent=True, is_safety=True),
    rxswin=("R79 v3",),
    service={"name": "a"},
)
BUNDLE = Bundle("a", "1", ("a/1",), "why", (SHA,), (SHA,), {"en": "x"})
REPORT = VehicleReport(
    vehicle="CAR1",
    primary="e",
    ecus=(EcuReport("e", "h", Installed("a/1", 5, SHA, 1), 1, 1, (Attack.FREEZE,)),),
    counter=1,
    action="a",
    forms=("zstd",),
    memory_max_bytes=1,
    rxswin={"R79": "v3"},
)


def keys(value: object) -> set[str]:
    """Return the keys in a document; names of languages, ECUs and the like are values."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values())) - {"en", "e", "R79"}
    return set()


@pytest.mark.parametrize(
    "document",
    [
        image_to_target(IMAGE)["custom"],
        json.loads(bundle_to_json(BUNDLE)),
        json.loads(report_to_signed(REPORT, fresh())),
        downgrade.with_downgrade({}, downgrade.Downgrade(("CAR1",), "a", 1)),
    ],
    ids=["target", "bundle", "report", "downgrade"],
)
def test_every_field_that_is_written_is_named(document: dict[str, object]):
    assert len(keys(document)) >= 4
    assert [key for key in sorted(keys(document)) if key not in PAGE] == []


@pytest.mark.parametrize("word", [*Kind, *(form for form in Form if form is not Form.PLAIN)])
def test_every_kind_and_form_is_named(word: str):
    assert f"`{word}`" in PAGE


def test_limits_are_as_they_are():
    sizes = (
        metadata.ROOT_MAX_BYTES,
        metadata.TIMESTAMP_MAX_BYTES,
        metadata.SNAPSHOT_MAX_BYTES,
        metadata.TARGETS_MAX_BYTES,
    )
    assert "; ".join(f"{size:,}" for size in sizes) in PAGE
    assert f"| {top_level.ROTATIONS_MAX} |" in PAGE
    assert f"| {delegations.VISITED_MAX}; {delegations.LOADED_MAX} |" in PAGE
    assert f"| {metadata.KEYS_MAX} |" in PAGE
    assert f"| {agreement.ECUS_MAX} |" in PAGE
    assert custom.BUNDLE_MAX_BYTES == REPORT_MAX_BYTES == 1 << 20
    assert f"| {custom.PATH_MAX_CHARS}; {custom.NAME_MAX_CHARS} characters |" in PAGE
    counts = (custom.SOURCES_MAX, custom.REQUIREMENTS_MAX, custom.HARDWARE_MAX)
    assert f"| {'; '.join(map(str, counts))} |" in PAGE
    assert f"| {downgrade.STATEMENTS_MAX}; {downgrade.VEHICLES_MAX:,} |" in PAGE
