"""Why a campaign did, or did not: what it saw last, what is missing, what it waits for, what it would send.

    why = engine.why("brake-event")
    why.conditions[0].culprits   ("$variable.`Vehicle.Speed` > 50",)
    why.waits_for                "the minimum interval: 4.2 s more"

Rule 1: plain data: dataclasses.asdict and json.dumps take it as it is.
Rule 2: it only looks: nothing is evaluated, nothing counts as sent.
Rule 3: times are drive time unless their name says wall.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from fairway.campaign.inputs import Level, Watch
from fairway.campaign.model import TriggerMode
from fairway.campaign.plan import MS
from fairway.campaign.runner import Runner
from fairway.campaign.trigger import State
from fairway.expression.campaign import (
    Held,
    IsNull,
    Rate,
    Value,
    Variable,
    Window,
    explain,
    is_true,
)

# Of more culprits than a person reads the first are enough.
CULPRITS_MAX = 16


class Phase(StrEnum):
    """Where a campaign is."""

    READY = "ready"  # no sample of what it asks has come yet
    RUNNING = "running"
    COLLECTING = "waiting for post-trigger"
    SUSPENDED = "suspended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class InputNow:
    """One input of a condition."""

    kind: str  # Variable, IsNull, Window, Rate, Held, Custom
    name: str  # of the signal, or of the custom function; of Held its condition
    value: Value | None
    is_missing: bool  # no sample of its signal has come since the campaign is active
    age_ms: float | None  # of the newest sample


@dataclass(frozen=True, slots=True)
class ConditionNow:
    """One condition."""

    purpose: str  # "trigger", "fetch of NAME", "upload of PARTITION"
    text: str
    result: Value | None
    is_true: bool
    evaluated_ns: int | None
    inputs: tuple[InputNow, ...]
    culprits: tuple[str, ...]  # the smallest parts that make it not true


@dataclass(frozen=True, slots=True)
class Why:
    """What can be said about one campaign now."""

    sync_id: str
    name: str
    phase: Phase
    now_ns: int
    active_since_ns: int | None
    triggers: int
    last_trigger_ns: int | None
    next_trigger_ns: int | None  # not before
    waits_for: str
    conditions: tuple[ConditionNow, ...]
    would_send: dict[str, int]  # samples by signal
    missing: tuple[str, ...]  # signals of conditions that never came
    warnings: tuple[str, ...]


def why_running(
    runner: Runner, seen_ns: dict[str, int], would_send: dict[str, int], *, now_ns: int
) -> Why:
    """Return what can be said of a campaign that runs; `seen_ns`: when each signal was seen last."""
    plan, trigger = runner.plan, runner.trigger
    missing = tuple(
        name for watch in runner.watches for name in watch.expression.signals if name not in seen_ns
    )
    open_ns = max(now_ns, trigger.open_ns)
    return Why(
        plan.sync_id,
        plan.campaign.name,
        _phase(runner),
        now_ns,
        runner.start_ns,
        runner.triggers,
        trigger.last_ns if runner.triggers else None,
        max(open_ns, runner.end_ns) if trigger.is_collecting else open_ns,
        _waits_for(runner, tuple(dict.fromkeys(missing)), now_ns),
        tuple(_conditions(runner, seen_ns, now_ns)),
        would_send,
        tuple(dict.fromkeys(missing)),
        plan.warnings,
    )


def why_not_running(
    sync_id: str, name: str, phase: Phase, *, waits_for: str, warnings: tuple[str, ...], now_ns: int
) -> Why:
    """Return what can be said of a campaign that is suspended or was refused."""
    return Why(
        sync_id,
        name,
        phase,
        now_ns,
        active_since_ns=None,
        triggers=0,
        last_trigger_ns=None,
        next_trigger_ns=None,
        waits_for=waits_for,
        conditions=(),
        would_send={},
        missing=(),
        warnings=warnings,
    )


def _phase(runner: Runner) -> Phase:
    if runner.trigger.is_collecting:
        return Phase.COLLECTING
    return Phase.READY if runner.trigger.state is State.UNSEEN else Phase.RUNNING


def _waits_for(runner: Runner, missing: tuple[str, ...], now_ns: int) -> str:
    trigger = runner.trigger
    left = f"{max(0, trigger.open_ns - now_ns) / 1e9:g} s more"
    if trigger.is_collecting:
        return f"the end of its post-trigger time: {max(0, runner.end_ns - now_ns) / 1e9:g} s more"
    result = True if runner.watch is None else runner.watch.result
    if result is None and missing:
        return f"a first sample of {', '.join(missing)}"
    if not is_true(result):
        early = f", and its minimum interval: {left}" if now_ns < trigger.open_ns else ""
        return f"its condition to become true{early}"
    if trigger.state is State.TRUE and trigger.mode is TriggerMode.RISING_EDGE:
        return "its condition to be false first: it triggers on the rising edge only"
    what = "period" if runner.watch is None else "minimum interval"
    return f"its {what}: {left}" if now_ns < trigger.open_ns else "its next evaluation"


def _conditions(runner: Runner, seen_ns: dict[str, int], now_ns: int) -> Iterator[ConditionNow]:
    tolerance = runner.plan.campaign.equality_tolerance
    if runner.watch is not None:
        yield _condition("trigger", runner.watch, seen_ns, tolerance, now_ns)
    for fetch in runner.fetches:
        if fetch.watch is not None:
            yield _condition(f"fetch of {fetch.what.name}", fetch.watch, seen_ns, tolerance, now_ns)
    for partition, watch in runner.uploads:
        yield _condition(f"upload of {partition}", watch, seen_ns, tolerance, now_ns)


def _condition(
    purpose: str, watch: Watch, seen_ns: dict[str, int], tolerance: float, now_ns: int
) -> ConditionNow:
    levels = tuple(_levels(watch.top))
    culprits = [
        part.text
        for level in levels
        for part in explain(level.expression, level.values, tolerance=tolerance)
        if part.is_culprit and not is_true(watch.result)
    ]
    return ConditionNow(
        purpose,
        watch.expression.text,
        watch.result,
        is_true(watch.result),
        watch.evaluated_ns,
        tuple(one for level in levels for one in _inputs(level, seen_ns, now_ns)),
        tuple(dict.fromkeys(culprits))[:CULPRITS_MAX],
    )


def _levels(level: Level) -> Iterator[Level]:
    yield level
    for held in level.helds:
        yield from _levels(held.level)
    for call in level.customs:
        for argument in call.arguments:
            yield from _levels(argument)


def _inputs(level: Level, seen_ns: dict[str, int], now_ns: int) -> Iterator[InputNow]:
    for read, value in zip(level.expression.inputs, level.values, strict=True):
        kind = type(read).__name__
        if isinstance(read, Variable | IsNull | Window | Rate):
            newest_ns = seen_ns.get(read.name)
            age_ms = None if newest_ns is None else (now_ns - newest_ns) / MS
            yield InputNow(kind, read.name, value, newest_ns is None, age_ms)
        else:
            name = read.condition.text if isinstance(read, Held) else read.name
            yield InputNow(kind, name, value, is_missing=False, age_ms=None)
