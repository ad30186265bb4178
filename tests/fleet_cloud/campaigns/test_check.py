"""Campaigns held against catalogues, real ones among them."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairway.campaign.document import campaign_from_json, campaign_of
from fairway.errors import BadInput
from fairway.samples import Kind, Signal, SignalTable
from fleet_cloud.campaigns.check import Fit, Verdict, prepare, report, verdict
from tests.shared_data import shared

DOCUMENTS = "edge/fleetwise/campaigns"
SPEED, GEAR = Signal("Vehicle.Speed"), Signal("Vehicle.Gear", Kind.TEXT)


def document(expression: str = "", *names: str, **more: Any) -> dict[str, Any]:
    scheme: dict[str, Any] = {"timeBasedCollectionScheme": {"periodMs": 1000}}
    if expression:
        scheme = {"conditionBasedCollectionScheme": {"expression": expression}}
    collect = [{"name": name} for name in names]
    return {"name": "c", "collectionScheme": scheme, "signalsToCollect": collect, **more}


def held(document: dict[str, Any], *signals: Signal) -> Verdict:
    return verdict(prepare(campaign_of(document)), SignalTable(signals))


def test_a_campaign_whose_signals_are_all_there_runs_whole():
    assert held(document("$variable.`Vehicle.Speed` > 3", "Vehicle.Gear"), SPEED, GEAR) == Verdict(
        Fit.WHOLE
    )


def test_a_signal_that_is_not_there_costs_that_signal():
    assert held(document("", "Vehicle.Speed", "Vehicle.Gear"), SPEED) == Verdict(
        Fit.PARTLY, ("Vehicle.Gear",)
    )


def test_a_condition_that_reads_what_is_not_there_never_triggers():
    found = held(document("isNull($variable.`Vehicle.Gear`)", "Vehicle.Speed"), SPEED)

    assert found == Verdict(Fit.NOT, ("Vehicle.Gear",))


def test_a_campaign_of_which_nothing_is_there_does_not_run():
    assert held(document("", "Vehicle.Gear"), SPEED).fit is Fit.NOT


def test_kinds_that_do_not_fit_are_told_by_place():
    found = held(document("$variable.`Vehicle.Gear` > 3", "Vehicle.Speed"), SPEED, GEAR)

    assert found.fit is Fit.NOT
    (error,) = found.errors
    assert error.startswith("collectionScheme.conditionBasedCollectionScheme.expression: character")


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("Vehicle.*", Fit.WHOLE),
        ("*.Speed", Fit.WHOLE),
        ("*.Nothing", Fit.NOT),
        ("Vehicle.S*d", Fit.WHOLE),
    ],
)
def test_a_wildcard_is_there_when_it_fits_anything(name: str, fit: Fit):
    assert held(document("", name), SPEED).fit is fit


def test_a_signal_that_the_campaign_fetches_itself_is_there():
    fetch = {
        "fullyQualifiedName": "Vehicle.ECU1.DTC_INFO",
        "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 1000}},
        "actions": ["custom_function('DTC_QUERY', -1, 2, -1)"],
    }
    wanted = document("", "Vehicle.ECU1.DTC_INFO", signalsToFetch=[fetch])

    assert held(wanted, SPEED).fit is Fit.WHOLE


def test_what_no_vehicle_can_run_is_refused_by_path_and_character():
    partition = {
        "id": "p",
        "storageOptions": {
            "maximumSize": {"unit": "MB", "value": 1},
            "storageLocation": "p",
            "minimumTimeToLive": {"unit": "HOURS", "value": 1},
        },
        "uploadOptions": {"expression": "$variable.`A` >", "conditionLanguageVersion": 1},
    }
    wrong = campaign_of(document("", "A", dataPartitions=[partition], spoolingMode="TO_DISK"))

    with pytest.raises(BadInput, match=r"dataPartitions\[0\].uploadOptions.expression: character"):
        prepare(wrong)


def test_vehicles_of_one_catalogue_have_one_verdict_and_strangers_have_none():
    prepared = prepare(campaign_of(document("", "Vehicle.Speed", "Vehicle.Gear")))
    tables = {b"whole": SignalTable((SPEED, GEAR)), b"part": SignalTable((SPEED,))}
    named = {"V1": b"whole", "V2": b"part", "V3": b"part", "V4": b"lost"}
    asked: list[bytes] = []

    def table(catalogue: bytes) -> SignalTable | None:
        asked.append(catalogue)
        return tables.get(catalogue)

    found = report(prepared, ["V1", "V2", "V3", "V4", "V5"], named, table)

    assert found.counts == {Fit.WHOLE: 1, Fit.PARTLY: 2, Fit.NOT: 0, Fit.UNKNOWN: 2}
    assert found.missing == {"Vehicle.Gear": 2}
    assert found.examples[Fit.PARTLY] == ("V2", "V3")
    assert sorted(asked) == [b"lost", b"part", b"whole"]


def test_every_real_document_can_be_read_and_runs_where_its_signals_are():
    paths = sorted(Path(shared(DOCUMENTS)).glob("*.json"))
    assert len(paths) >= 10
    for path in paths:
        content = json.loads(path.read_text())
        campaign = campaign_from_json(json.dumps(content), name=path.stem)
        prepared = prepare(campaign)
        names = {*prepared.needed, *(n.replace("*", "x") for n in prepared.collected)}
        table = SignalTable(tuple(Signal(name) for name in sorted(names) or ["Vehicle.Speed"]))
        assert verdict(prepared, table).missing == (), path.name
