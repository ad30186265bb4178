"""86 scenarios of Uptane repositories, made for aktualizr: each verdict as its authors expect it."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fairway.errors import Tampered
from ota.trust.agreement import agreed, directed
from ota.trust.delegations import Search
from ota.trust.kept import Kept, Ledger, Moment, provisioned, refusal_of, refused
from ota.trust.metadata import TARGETS_MAX_BYTES
from ota.trust.model import Assigned, Attack, Ecu, Refusal, Repository, Vehicle, Wanted
from ota.trust.partial import director_targets
from ota.trust.top_level import Sight, latest_root, top_level
from tests.ota.repository_simulator import NOW_NS, driven
from tests.ota.trust.old_dialect import OLD, hashed_form
from tests.shared_data import SHARED, shared

VECTORS = SHARED / "ota" / "uptane-vectors"
_TOLD = VECTORS / "expected.json"
EXPECTED: dict[str, Any] = json.loads(_TOLD.read_text()) if _TOLD.exists() else {}
SERIAL = "test_primary_ecu_serial"
VEHICLE = Vehicle("v", SERIAL, (Ecu(SERIAL, "test_primary_hardware_id"),))

# What ours is for each kind of theirs.  A target on which the repositories disagree is told by what differs.
OURS = {
    "BadEcuId": {Attack.WRONG_ECU},
    "BadHardwareId": {Attack.WRONG_ECU},
    "BadKeyId": {Attack.ARBITRARY_SOFTWARE},
    "DelegationMissing": {Attack.DROP_REQUEST},
    "DirectorDelegation": {Attack.ARBITRARY_SOFTWARE},
    "DirectorRepeatedEcuId": {Attack.WRONG_ECU},
    "ExpiredMetadata": {Attack.FREEZE},
    "IllegalThreshold": {Attack.MALFORMED},
    "MetadataFetchFailure": {Attack.ENDLESS_DATA},
    "NonUniqueSignatures": {Attack.MALFORMED},
    "OversizedTarget": {Attack.ENDLESS_DATA},
    "RootRotationError": {Attack.METADATA_ROLLBACK},
    "SecurityException": {Attack.MALFORMED},
    "TargetHashMismatch": {Attack.ARBITRARY_SOFTWARE},
    "TargetMismatch": {Attack.ARBITRARY_SOFTWARE, Attack.WRONG_ECU, Attack.FREEZE},
    "UnmetThreshold": {Attack.ARBITRARY_SOFTWARE},
    "VersionMismatch": {Attack.MIX_AND_MATCH},
}
FOLDERS = {Repository.DIRECTOR: "director", Repository.IMAGE: "image_repo"}


def test_all_of_them_are_here():
    shared("ota/uptane-vectors/expected.json")
    assert len(EXPECTED) == 86
    failing = [name for name, vector in EXPECTED.items() if errors(vector)]
    assert len(failing) == 77


@pytest.mark.parametrize("name", EXPECTED)
def test_vector(name: str):
    first = VECTORS / name / "0"
    director, images = (content(first / FOLDERS[one] / "1.root.json") for one in Repository)
    kept = provisioned(director, images)
    for number, step in enumerate(EXPECTED[name]["steps"]):
        verdict, kept = look(VECTORS / name / str(number), kept)
        wrong = errors({"steps": [step]})
        if not wrong:
            assert isinstance(verdict, tuple), str(verdict)
            assert [one.ecu.serial for one in verdict] == [SERIAL]
            continue
        assert isinstance(verdict, Refusal)
        assert verdict.attack in set().union(*(OURS[kind] for kind, _ in wrong)), str(verdict)
        sides = {side for _, side in wrong if side}
        assert not sides or verdict.where.split("/")[0] in sides


def errors(vector: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is expected to fail: the kind of error, and the repository when it is its metadata."""
    found = []
    for step in vector["steps"]:
        for side, ours in (("director", "director"), ("image_repo", "image")):
            update = step[side]["update"]
            found += [] if update["is_success"] else [(update["err"].split("::")[0], ours)]
            found += [
                (one["err"].split("::")[0], "")
                for one in step[side]["targets"].values()
                if not one["is_success"]
            ]
    return found


def look(folder: Path, kept: Kept) -> tuple[tuple[Assigned, ...] | Refusal, Kept]:
    """Look at both repositories of a step, then at the bytes of the images."""
    ledger, moment = Ledger(kept), Moment(NOW_NS, kept)
    director, image = (Sight(one, ledger, moment, OLD) for one in Repository)

    def steps():
        root = yield from latest_root(director)
        targets = yield from director_targets(director, root)
        orders = directed(targets, VEHICLE, director.at("targets.json"))
        search = Search(image, (yield from top_level(image)))
        assigned = list[Assigned]()
        for one in orders:
            found = yield from search.find(one.path)
            assigned += agreed(one, found, VEHICLE, {}, names_hardware=False)
        return tuple(assigned)

    try:
        assigned = driven(steps(), lambda wanted: served(folder, wanted))
        for one in assigned:
            check_bytes(one, content(folder / "image_repo" / one.image.path) or b"")
    except Tampered as error:
        return refusal_of(error), ledger.kept
    return assigned, ledger.kept


def served(folder: Path, wanted: Wanted) -> bytes | None:
    repository = folder / FOLDERS[wanted.repository]
    for name in (wanted.name, f"delegations/{wanted.name}"):
        got = content(repository / name)
        if got:
            return got if len(got) > TARGETS_MAX_BYTES else hashed_form(got)
    return None


def content(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    if packed.exists():
        return gzip.decompress(packed.read_bytes())
    return path.read_bytes() if path.exists() else b""


def check_bytes(assigned: Assigned, got: bytes) -> None:
    """As the vehicle's fetcher does: no more than the length, and the hash."""
    image = assigned.image
    if len(got) > image.length:
        raise refused(Attack.ENDLESS_DATA, image.path, "it is longer than was signed")
    if hashlib.sha256(got).hexdigest() != image.sha256:
        raise refused(Attack.ARBITRARY_SOFTWARE, image.path, "its hash is another")
