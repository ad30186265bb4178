"""Wishes <-> JSON, as people write them and as they are kept.

    {"name": "winter", "bundle": "bundles/winter/2026.1.json", "target": {"fleet": "north"},
     "waves": [{"name": "internal", "filter": "is_internal",
                "gate": {"success_percent": 100, "soak_s": 86400, "health": "Vehicle.Battery.SoH > 80"}},
               {"name": "early", "percent": 5},
               {"name": "all", "rate": {"baseRatePerMinute": 50, "incrementFactor": 2,
                                        "rateIncreaseCriteria": {"numberOfSucceededThings": 1000}}}],
     "windows": [{"from": "22:00", "to": "05:00", "days": ["mon", "tue"], "utc_offset": "+01:00"}],
     "retries": {"network": {"tries": 10, "first_wait_s": 300, "most_wait_s": 86400}}}

Rule 1: what is unknown is an error that names the place, with the nearest key that is known.
"""

import re
from typing import Any

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fairway.services.fields import Table
from fairway.update import Fault
from fleet_cloud.control.query import parse
from fleet_cloud.control.targets import Target, TargetKind, target_of
from fleet_cloud.rollouts.following import BAD
from fleet_cloud.rollouts.model import ENDS_AFTER_S, Gate, Rate, Retry, Wave, Window, Wish

WAVES_MAX = 100
WINDOWS_MAX = 50
DAY_S = 86_400
TIME_MAX_NS = 2**62
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def wish_of(values: dict[str, Any]) -> Wish:
    """Return the wish that a document is.  Raises BadInput."""
    top = Table(values, "", "the rollout")
    name = top.text("name", most=64)
    if not _NAME.fullmatch(name):
        raise top.wrong("name", f"is {name!r}; use A-Z a-z 0-9 . _ -, a letter or digit first")
    start_s = top.whole("start_at_s", 0, least=0, most=TIME_MAX_NS // NS_PER_S)
    wish = Wish(
        name=name,
        bundle=top.text("bundle", most=512),
        target=_target(top.table("target")),
        waves=_waves(top),
        start_at_ns=start_s * NS_PER_S or None,
        ends_after_s=top.whole("ends_after_s", ENDS_AFTER_S, least=60, most=3650 * DAY_S),
        windows=top.tables("windows", _window, most=WINDOWS_MAX),
        retries={Fault(name): retry for name, retry in _retries(top)},
        silent_max_s=top.whole("silent_max_s", 7 * DAY_S, least=60, most=365 * DAY_S),
        needs_consent=top.yes("needs_consent", default=False),
        is_forced=top.yes("is_forced", default=True),
        is_downgrade=top.yes("is_downgrade", default=False),
        takes_unknown=top.yes("takes_unknown", default=False),
        approval_effect=top.text("approval_effect", "", least=0),
        verification=top.text("verification", "", least=0),
    )
    top.nothing_else()
    return wish


def wish_to_json(wish: Wish) -> dict[str, Any]:
    """Return a wish as `wish_of` reads it."""
    return {
        "name": wish.name,
        "bundle": wish.bundle,
        "target": {wish.target.kind.value: wish.target.text},
        "waves": [_wave_said(wave) for wave in wish.waves],
        "start_at_s": (wish.start_at_ns or 0) // NS_PER_S,
        "ends_after_s": wish.ends_after_s,
        "windows": [_window_said(window) for window in wish.windows],
        "retries": {
            fault.value: {
                "tries": one.tries,
                "first_wait_s": one.first_wait_s,
                "most_wait_s": one.most_wait_s,
            }
            for fault, one in sorted(wish.retries.items())
        },
        "silent_max_s": wish.silent_max_s,
        "needs_consent": wish.needs_consent,
        "is_forced": wish.is_forced,
        "is_downgrade": wish.is_downgrade,
        "takes_unknown": wish.takes_unknown,
        "approval_effect": wish.approval_effect,
        "verification": wish.verification,
    }


def _target(table: Table) -> Target:
    said = [(kind, table.text(kind.value)) for kind in TargetKind if kind.value in table]
    table.nothing_else()
    if len(said) != 1:
        raise BadInput(f"the rollout: target: give one of {', '.join(TargetKind)}")
    return target_of(*said[0])


def _waves(top: Table) -> tuple[Wave, ...]:
    waves = top.tables("waves", _wave, most=WAVES_MAX) or (Wave("all"),)
    if waves[-1].percent is not None:
        raise top.wrong("waves", "the last one takes all that are left: give it no percent")
    if sum(wave.percent or 0 for wave in waves) > 100:
        raise top.wrong("waves", "their shares are more than 100 % together")
    for number, wave in enumerate(waves[:-1]):
        if not wave.filter and wave.percent is None:
            raise top.wrong(f"waves[{number}]", "has neither filter nor percent: only the last may")
    return waves


def _wave(table: Table) -> Wave:
    text = table.text("filter", "", most=1024, least=0)
    if text:
        _query(table, "filter", text)
    percent = None
    if "percent" in table:
        percent = table.number("percent", None, least=0.0001, most=100)
        if text:
            raise table.wrong("percent", "stands beside a filter: give one of them")
    return Wave(
        name=table.text("name", "wave", most=64),
        filter=text,
        percent=percent,
        rate=_rate(table.table("rate")) if "rate" in table else None,
        gate=_gate(table.table("gate")),
    )


def _rate(table: Table) -> Rate:
    criteria = table.table("rateIncreaseCriteria")
    most = 10**9
    rate = Rate(
        base_per_minute=table.number("baseRatePerMinute", None, least=0.001, most=1e9),
        increment_factor=table.number("incrementFactor", 1.0, least=1, most=100),
        each_notified=criteria.whole("numberOfNotifiedThings", 0, least=0, most=most),
        each_succeeded=criteria.whole("numberOfSucceededThings", 0, least=0, most=most),
        maximum_per_minute=table.number("maximumPerMinute", 0.0, least=0, most=1e9),
    )
    criteria.nothing_else()
    table.nothing_else()
    if rate.each_notified and rate.each_succeeded:
        raise table.wrong("rateIncreaseCriteria", "has two criteria: give one")
    return rate


def _gate(table: Table) -> Gate:
    usual = Gate()
    health = table.text("health", "", most=1024, least=0)
    if health:
        _query(table, "health", health)
    gate = Gate(
        success_percent=table.number("success_percent", usual.success_percent, least=0, most=100),
        failure_percent=table.number("failure_percent", usual.failure_percent, least=0, most=100),
        failure_sample_min=table.whole(
            "failure_sample_min", usual.failure_sample_min, least=1, most=10**9
        ),
        soak_s=table.whole("soak_s", usual.soak_s, least=0, most=366 * DAY_S),
        health=health,
        health_percent=table.number("health_percent", usual.health_percent, least=0, most=100),
    )
    table.nothing_else()
    return gate


def _window(table: Table) -> Window:
    days = table.texts("days", most=7, chars=3) or _DAYS
    for day in days:
        if day not in _DAYS:
            raise table.wrong("days", f"has {day!r}; choose from {', '.join(_DAYS)}")
    offset = _OFFSET.fullmatch(table.text("utc_offset", "+00:00", most=6))
    if offset is None:
        raise table.wrong("utc_offset", "is no offset: write it as +01:00")
    minutes = int(offset[2]) * 60 + int(offset[3])
    return Window(
        from_minute=_minute(table, "from"),
        to_minute=_minute(table, "to"),
        days=frozenset(_DAYS.index(day) for day in days),
        offset_minutes=-minutes if offset[1] == "-" else minutes,
    )


def _minute(table: Table, key: str) -> int:
    clock = _CLOCK.fullmatch(table.text(key, most=5))
    if clock is None:
        raise table.wrong(key, "is no time of day: write it as 22:00")
    return int(clock[1]) * 60 + int(clock[2])


def _retries(top: Table) -> list[tuple[str, Retry]]:
    found = []
    for name, inner in top.pairs("retries", most=len(Fault)):
        if name not in set(Fault):
            raise inner.wrong(name, f"is no kind of failure; choose from {', '.join(Fault)}")
        if Fault(name) in BAD:
            raise inner.wrong(name, "is never tried again: that version failed in that vehicle")
        one = inner.table(name)
        retry = Retry(
            tries=one.whole("tries", None, least=0, most=100),
            first_wait_s=one.whole("first_wait_s", 300, least=1, most=30 * DAY_S),
            most_wait_s=one.whole("most_wait_s", DAY_S, least=1, most=90 * DAY_S),
        )
        one.nothing_else()
        found.append((name, retry))
    return found


def _query(table: Table, key: str, text: str) -> None:
    try:
        parse(text)
    except BadInput as error:
        raise table.wrong(key, str(error)) from error


def _wave_said(wave: Wave) -> dict[str, Any]:
    said: dict[str, Any] = {"name": wave.name}
    if wave.filter:
        said["filter"] = wave.filter
    if wave.percent is not None:
        said["percent"] = wave.percent
    if wave.rate is not None:
        said["rate"] = _rate_said(wave.rate)
    gate = wave.gate
    said["gate"] = {
        "success_percent": gate.success_percent,
        "failure_percent": gate.failure_percent,
        "failure_sample_min": gate.failure_sample_min,
        "soak_s": gate.soak_s,
        "health": gate.health,
        "health_percent": gate.health_percent,
    }
    return said


def _rate_said(rate: Rate) -> dict[str, Any]:
    return {
        "baseRatePerMinute": rate.base_per_minute,
        "incrementFactor": rate.increment_factor,
        "rateIncreaseCriteria": {
            "numberOfNotifiedThings": rate.each_notified,
            "numberOfSucceededThings": rate.each_succeeded,
        },
        "maximumPerMinute": rate.maximum_per_minute,
    }


def _window_said(window: Window) -> dict[str, Any]:
    hours, minutes = divmod(abs(window.offset_minutes), 60)
    return {
        "from": f"{window.from_minute // 60:02d}:{window.from_minute % 60:02d}",
        "to": f"{window.to_minute // 60:02d}:{window.to_minute % 60:02d}",
        "days": [_DAYS[day] for day in sorted(window.days)],
        "utc_offset": f"{'-' if window.offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}",
    }
