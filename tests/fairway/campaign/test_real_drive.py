"""A real minute of a RAV4: real conditions trigger where a naive look says, however the minute is cut."""

from functools import cache
from itertools import groupby, pairwise

import numpy as np
import pytest

from edge_agent.adapters.log_formats import open_log
from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.campaign.document import campaign_of
from fairway.campaign.engine import Engine
from fairway.campaign.events import Event
from fairway.campaign.model import Campaign, ConditionBased
from fairway.expression.campaign import parse, scalar
from fairway.samples import SampleBlock, Signal, SignalTable
from tests.shared_data import shared

LOG = "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz"
DATABASE = "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc"
WHEEL = "$variable.`can0.WHEEL_SPEEDS.WHEEL_SPEED_FL`"
OTHER_WHEEL = "$variable.`can0.WHEEL_SPEEDS.WHEEL_SPEED_RR`"
STEER = "$variable.`can0.STEER_ANGLE_SENSOR.STEER_ANGLE`"
GAS = "$variable.`can0.GAS_PEDAL.GAS_PEDAL`"
SPEED = "$variable.`can0.SPEED.SPEED`"


@cache
def drive() -> tuple[SampleBlock, tuple[int, ...]]:
    """Return the drive as one block, and where frames begin in it."""
    plan = compile_plan([BusDatabases("can0", (database.load(shared(DATABASE)),))])
    decoder = make_decoder(plan)
    groups: dict[int, int] = {}
    table = SignalTable(
        tuple(
            Signal(one.name, group=groups.setdefault(id(one.message), len(groups) + 1))
            for one in plan.signals
        )
    )
    signal, time_ns, value, starts, rows = [], [], [], [], 0
    for block in open_log(shared(LOG), {"can0": 0}):
        decoded = decoder.decode(block)
        starts.append(rows + np.flatnonzero(np.diff(decoded.frame, prepend=-1)))
        signal.append(decoded.signal.copy())
        time_ns.append(block.time_ns[decoded.frame])
        value.append(decoded.value.copy())
        rows += len(decoded.signal)
    whole = SampleBlock(
        table,
        np.concatenate(signal).astype(np.int32),
        np.concatenate(time_ns),
        np.concatenate(value),
    )
    return whole, tuple(np.concatenate(starts).tolist())


def campaign(name: str, expression: str, **condition: object) -> Campaign:
    scheme = {"conditionBasedCollectionScheme": {"expression": expression} | condition}
    wheels = {"name": "can0.WHEEL_SPEEDS.*", "maxSampleCount": 20}
    steer = {"name": "can0.STEER_ANGLE_SENSOR.STEER_ANGLE", "minimumSamplingIntervalMs": 100}
    return campaign_of(
        {"name": name, "collectionScheme": scheme, "signalsToCollect": [wheels, steer]}
    )


CAMPAIGNS = [
    campaign("steering", f"{STEER} < 0 && {WHEEL} > 20", triggerMode="RISING_EDGE"),
    campaign("slip", f"{WHEEL} - {OTHER_WHEEL} > 0.05", minimumTriggerIntervalMs=500),
    campaign("pedal", f"{GAS} > 0.1 || rate({SPEED}) > 2", minimumTriggerIntervalMs=1000),
    campaign(
        "mean",
        f"last_window_avg({SPEED}) > prev_last_window_avg({SPEED})",
        triggerMode="RISING_EDGE",
    ),
    campaign("straight", f"held({STEER} > -2 && {STEER} < 2, 1500 ms)", triggerMode="RISING_EDGE"),
    campaign("news", f"!isNull({WHEEL}) && {SPEED} > 0", minimumTriggerIntervalMs=2000),
    campaign_of(
        {
            "name": "heartbeat",
            "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
            "signalsToCollect": [{"name": "can0.*", "maxSampleCount": 10}],
        }
    ),
]


def engine_at_start(campaigns: list[Campaign]) -> Engine:
    whole, _ = drive()
    engine = Engine(whole.table)
    verdicts = engine.set_campaigns(campaigns, now_ns=int(whole.time_ns[0]))
    assert [(one.refused, one.warnings) for one in verdicts] == [(None, ())] * len(campaigns)
    return engine


def over(frames: int) -> list[Event]:
    """Return the events of the drive in blocks of so many frames."""
    whole, starts = drive()
    engine, events = engine_at_start(CAMPAIGNS), []
    cuts = [*starts[::frames], len(whole)]
    for begin, end in pairwise(cuts):
        events += engine.take(whole.take(np.arange(begin, end)))
    return events


def comparable(events: list[Event]) -> list[tuple[object, ...]]:
    return [
        (
            one.campaign,
            one.id,
            one.time_ns,
            {part: list(block.rows()) for part, block in one.parts.items()},
        )
        for one in events
    ]


def test_events_do_not_depend_on_how_the_drive_is_cut():
    whole = comparable(over(1 << 30))

    assert whole == comparable(over(20)) == comparable(over(777))
    assert {str(id_).split("@")[0] for id_, *_ in whole} == {one.name for one in CAMPAIGNS}


@pytest.mark.parametrize("one", CAMPAIGNS[:2], ids=["steering", "slip"])
def test_real_conditions_trigger_where_a_naive_look_says(one: Campaign):
    whole, _ = drive()
    engine = engine_at_start([one])

    assert [event.time_ns for event in engine.take(whole)] == naive_triggers(one, whole)


def naive_triggers(one: Campaign, whole: SampleBlock) -> list[int]:
    assert isinstance(one.scheme, ConditionBased)
    expression = parse(one.scheme.expression)
    evaluate, values = scalar(expression), dict.fromkeys(expression.signals)
    thin_ns: dict[str, int] = {"can0.STEER_ANGLE_SENSOR.STEER_ANGLE": 100_000_000}
    taken_ns: dict[str, int] = {}
    interval_ns, is_always = one.min_interval_ms * 1_000_000, one.trigger_mode == "ALWAYS"
    last_ns, was_true, was_seen, found = int(whole.time_ns[0]), True, False, []
    names = {whole.table.number(name) for name in values}
    rows = list(whole.take(np.isin(whole.signal, list(names))).rows())
    group = {one.name: one.group for one in whole.table}
    for (time_ns, _), moment in groupby(rows, key=lambda row: (row[1], group[row[0]])):
        while is_always and was_seen and was_true and time_ns >= last_ns + interval_ns:
            last_ns += interval_ns
            found.append(last_ns)
        is_touched = False
        for name, _, value in moment:
            if time_ns >= taken_ns.get(name, 0) + thin_ns.get(name, 0):
                values[name], taken_ns[name], is_touched = value, time_ns, True
        if not is_touched:
            continue
        is_late = time_ns >= last_ns + interval_ns
        is_true, was_seen = bool(evaluate(list(values.values()))), True
        if is_true and is_late and (is_always or not was_true):
            found.append(time_ns)
            last_ns = time_ns
        if not is_true or is_late:
            was_true = is_true
    return found
