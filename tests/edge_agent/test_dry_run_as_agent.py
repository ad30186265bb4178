"""A dry run does what an agent does: both are given the same blocks, in one process, and are held together."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.adapters.campaigns_open import Around, CampaignParts
from edge_agent.adapters.drives import Drives
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus.frames import block_of
from edge_agent.config import Bus, Config, Replay, Signals, Spool, Vehicle
from fairway.campaign.document import campaign_of, sync_id
from fairway.campaign.model import Campaign, SignalToCollect
from fairway.clock import ManualClock
from fairway.control import CampaignList, CampaignOrder
from fairway.dry_run import DryRun
from fairway.prediction import Prediction
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from tests.shared_data import shared

MS, S = 1_000_000, 1_000_000_000
START_NS = 1_700_000_000 * S
VEHICLE = "CAR-1"
TABLE = SignalTable(
    (
        Signal("Vehicle.Speed", scale=0.1, group=1),
        Signal("Vehicle.Brake", Kind.BOOL, group=1),
        Signal("Vehicle.Gear", Kind.TEXT, group=2),
    )
)
SPEED = "$variable.`Vehicle.Speed`"


def when(name: str, expression: str, **more: Any) -> Campaign:
    scheme = {"expression": expression, "minimumTriggerIntervalMs": 200, **more.pop("scheme", {})}
    signals = more.pop("signals", [{"name": "Vehicle.*", "maxSampleCount": 40}])
    return campaign_of(
        {
            "name": name,
            "collectionScheme": {"conditionBasedCollectionScheme": scheme},
            "signalsToCollect": signals,
            **more,
        }
    )


def every(period_ms: int, name: str, **more: Any) -> Campaign:
    return campaign_of(
        {
            "name": name,
            "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": period_ms}},
            "signalsToCollect": [{"name": "Vehicle.Speed"}],
            **more,
        }
    )


WAITING = {
    "id": "bulk",
    "storageOptions": {
        "maximumSize": {"unit": "MB", "value": 1},
        "storageLocation": "bulk",
        "minimumTimeToLive": {"unit": "HOURS", "value": 1},
    },
    "uploadOptions": {"expression": f"{SPEED} > 1000"},
}
FETCH = {
    "fullyQualifiedName": "Vehicle.Codes",
    "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 2000}},
    "actions": ["custom_function('DTC_QUERY', -1, 2, -1)"],
}
CAMPAIGNS = {
    "each event alone": when("alone", f"{SPEED} > 90"),
    "rising edges": when("edge", f"{SPEED} > 90", scheme={"triggerMode": "RISING_EDGE"}),
    # The drive ends while it collects: neither sends that event.
    "collection under way at the end": when(
        "after", f"{SPEED} > 90", postTriggerCollectionDuration=900
    ),
    "events in larger batches": every(250, "packed", fairway={"batchMaxSamples": 64}),
    # What is open at the end is closed and sent.
    "a batch open at the end": every(250, "open", fairway={"batchMaxSamples": 20_000}),
    "a partition that never opens": when(
        "waits",
        f"{SPEED} > 90",
        dataPartitions=[WAITING],
        signalsToCollect=[
            {"name": "Vehicle.Speed", "dataPartitionId": "bulk"},
            {"name": "Vehicle.Gear"},
        ],
    ),
    "events of trouble codes without a sample": every(
        500, "codes", diagnosticsMode="SEND_ACTIVE_DTCS", signalsToCollect=[]
    ),
    "a signal that is fetched": every(1000, "fetched", signalsToFetch=[FETCH]),
    "edges by a function of the engine": when(
        "multi", f"custom_function('MULTI_RISING_EDGE_TRIGGER', 'fast', {SPEED} > 90)"
    ),
    "one that is refused": when("odd", "custom_function('nobody_knows', 1)"),
}


def blocks(seed: int = 7, count: int = 4000) -> list[SampleBlock]:
    """A wavy drive of 20 s, cut where it happens."""
    random = np.random.default_rng(seed)
    signal = random.choice([0, 0, 0, 1, 2], count).astype(np.int32)
    time_ns = START_NS + np.cumsum(random.integers(0, 10 * MS, count))
    wave = np.round(100 * np.sin(np.arange(count) / 90.0), 1)
    value = np.where(signal == 0, wave, random.integers(0, 2, count).astype(np.float64))
    cuts = [0, *sorted(random.choice(np.arange(1, count), 60, replace=False).tolist()), count]
    return [
        SampleBlock(TABLE, signal[a:b], time_ns[a:b], value[a:b], ("P", "D"))
        for a, b in itertools.pairwise(cuts)
    ]


async def lived(
    folder: Path, table: SignalTable, campaign: Campaign, drive: list[SampleBlock]
) -> dict[str, int]:
    """Run a campaign in the agent's own parts, and return what they counted."""
    log = folder / "drive.log"
    log.write_text("")
    config = Config(
        vehicle=Vehicle(VEHICLE),
        bus=(Bus("can0", ()),),
        spool=Spool(folder / "spool"),
        replay=Replay(log),
    )
    spool = SpoolWorker(SpoolFiles(folder / "spool", max_bytes=1 << 20))
    clock = ManualClock(int(drive[0].time_ns[0]))
    parts = CampaignParts(config, Around(spool, table, clock))
    try:
        order = CampaignOrder(sync_id(campaign), campaign)
        await parts.campaigns.order(CampaignList(1, (order,)))
        for block in drive:
            parts.take(block, block_of([]))
        await parts.finish()
        counts, shelf = parts.campaigns.counts.of(order.sync_id), parts.partitions.shelf
        written = shelf.counts[order.sync_id]
        return {
            "triggers": counts.triggers,
            "samples": counts.samples,
            "batches": written.batches,
            "bytes": written.request_bytes,
        }
    finally:
        await parts.close()
        await spool.close()


def predicted(table: SignalTable, campaign: Campaign, drive: list[SampleBlock]) -> Prediction:
    trial = DryRun(table, [campaign], vehicle=VEHICLE)
    trial.drive(drive)
    return trial.predictions[0]


def counts_of(prediction: Prediction) -> dict[str, int]:
    return {name: getattr(prediction, name) for name in ("triggers", "samples", "batches", "bytes")}


@pytest.mark.parametrize("what", CAMPAIGNS)
async def test_what_is_predicted_is_what_the_agent_writes(tmp_path: Path, what: str):
    campaign, drive = CAMPAIGNS[what], blocks()

    prediction = predicted(TABLE, campaign, drive)
    agent = await lived(tmp_path, TABLE, campaign, drive)

    assert (prediction.triggers > 3) == (not prediction.refused)
    if prediction.triggers and not campaign.sends_dtcs:
        assert counts_of(prediction) == agent
    else:  # its sentence that no ECU was asked is in the agent's events, and no drive can know it
        assert counts_of(prediction) | {"bytes": 0} == agent | {"bytes": 0}


@pytest.mark.parametrize(
    "campaign",
    [
        when("turns", "$variable.`can0.STEER_ANGLE_SENSOR.STEER_ANGLE` < -1"),
        every(2000, "wheels", fairway={"batchMaxSamples": 5000}),
    ],
    ids=lambda campaign: campaign.name,
)
async def test_on_a_real_drive_too(tmp_path: Path, campaign: Campaign):
    signals = tuple(SignalToCollect(name) for name in ("can0.WHEEL_SPEEDS.*", "can0.*.STEER_ANGLE"))
    campaign = replace(campaign, signals=signals)
    database = shared("can/dbc/opendbc/toyota_new_mc_pt_generated.dbc")
    log = shared("edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz")
    drives = Drives((Bus("can0", (database,)),), Signals(), unmapped=True)
    table = drives.table()
    drive = list(itertools.islice(drives.blocks(log, table), 100))

    prediction = predicted(table, campaign, drive)

    assert prediction.triggers > 3
    assert counts_of(prediction) == await lived(tmp_path, table, campaign, drive)
