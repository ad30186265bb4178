"""Whatever a repository serves, what comes of it is a verdict: never an error, never other software."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ota.trust.model import Plan, Refusal, Repository, UpToDate, Wanted
from ota.trust.refresh import Refresh
from tests.ota.releases import json_values
from tests.ota.repository_simulator import NOW_NS, World, driven

WORLD = World()
WORLD.release("brake/2.bin", "brake-fw", 2, hardware="brake")
WORLD.images.delegate("targets", "supplier", ["gw/*"])
WORLD.release("gw/2", "gateway-os", 2, hardware="gateway", role="supplier")
WORLD.order("br-1", "brake/2.bin")
WORLD.order("gw-1", "gw/2")
WORLD.director.rotate("root")
WORLD.images.rotate("root")
WORLD.publish()
FRESH = WORLD.kept
NAMES = [
    (repository, name)
    for repository in Repository
    for name in ("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json")
] + [(Repository.IMAGE, "1.supplier.json")]


def honest(wanted: Wanted) -> bytes | None:
    sides = {Repository.DIRECTOR: WORLD.director, Repository.IMAGE: WORLD.images}
    return sides[wanted.repository].file(wanted.name)


HONEST = driven(Refresh(FRESH, WORLD.vehicle, NOW_NS).steps(), honest)


def looked(at: tuple[Repository, str], content: bytes | None) -> Plan | UpToDate | Refusal:
    """Look while one file is another."""

    def answer(wanted: Wanted) -> bytes | None:
        return content if (wanted.repository, wanted.name) == at else honest(wanted)

    verdict: Plan | UpToDate | Refusal = driven(
        Refresh(FRESH, WORLD.vehicle, NOW_NS).steps(), answer
    )
    return verdict


def test_without_garbage_there_is_a_plan():
    assert isinstance(HONEST, Plan)
    assert len(HONEST.assigned) == 2


@given(st.sampled_from(NAMES), st.binary(max_size=200) | st.none())
def test_bytes_instead_of_a_file_are_refused(at: tuple[Repository, str], content: bytes | None):
    verdict = looked(at, content)

    # A root that is withheld leaves the one before, whose keys are the same here.
    assert isinstance(verdict, Refusal) or (content is None and at[1] == "2.root.json")


@given(st.sampled_from(NAMES), json_values)
def test_any_json_instead_of_a_file_is_refused(at: tuple[Repository, str], value: object):
    assert isinstance(looked(at, json.dumps(value).encode()), Refusal)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES), json_values, st.randoms(use_true_random=False))
def test_any_change_of_what_is_signed_is_refused(
    at: tuple[Repository, str], value: object, chance: Any
):
    said = json.loads(honest(Wanted(*at, 1)) or b"")
    before = json.dumps(said["signed"], sort_keys=True)
    inner, key = _somewhere(said["signed"], chance)
    inner[key] = value

    verdict = looked(at, json.dumps(said).encode())
    if json.dumps(said["signed"], sort_keys=True) == before:
        assert verdict == HONEST
    else:
        assert isinstance(verdict, Refusal)


@given(st.sampled_from(NAMES), json_values, st.randoms(use_true_random=False))
def test_any_change_around_signatures_is_refused_or_changes_nothing(
    at: tuple[Repository, str], value: object, chance: Any
):
    said = json.loads(honest(Wanted(*at, 1)) or b"")
    inner, key = _somewhere({"signatures": said["signatures"]}, chance)
    inner[key] = value

    verdict = looked(at, json.dumps(said).encode())
    assert isinstance(verdict, Refusal) or verdict == HONEST


def test_metadata_that_is_deep_beyond_sense_is_refused():
    deep = b'{"signed":' * 100_000

    assert isinstance(looked(NAMES[1], deep[:16_000]), Refusal)
    assert isinstance(looked(NAMES[3], deep), Refusal)


def _somewhere(table: Any, chance: Any) -> tuple[Any, Any]:
    """Return a container within a document, and a key of it."""
    while True:
        keys = list(table) if isinstance(table, dict) else range(len(table))
        key = chance.choice(list(keys))
        inner = table[key]
        if not isinstance(inner, (dict, list)) or not inner or chance.random() < 0.3:
            return table, key
        table = inner
