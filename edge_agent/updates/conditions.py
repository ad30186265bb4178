"""When a vehicle may install: a table of conditions over what is known of it, and why one is not met.

Rule 1: what is not known is not met: a vehicle whose speed nobody says is not parked.
Rule 2: the vehicle's own conditions always hold; a release adds to them, and never takes one away.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge_agent.updates.order import Consent, Order
from fairway.errors import BadInput

# A vehicle that stands is not always at zero: wheel sensors say so.
STANDING_MAX_KM_H = 0.5
MINUTES_A_DAY = 24 * 60
NS_PER_MIN = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the vehicle; None: nobody says, or said it too long ago."""

    speed_km_h: float | None = None
    is_brake_set: bool | None = None
    gear: float | str | None = None  # 0 or "N": neutral, 126 or "P": park (VSS)
    is_ignition_on: bool | None = None
    battery_v: float | None = None  # of the low-voltage battery
    charge_percent: float | None = None  # of the traction battery
    consent: Consent = Consent.NONE
    minute_of_day: int = 0  # local


@dataclass(frozen=True, slots=True)
class Terms:
    """What is demanded of this vehicle, by its settings."""

    conditions: tuple[str, ...] = ("parked", "ignition_off", "battery")
    battery_min_v: float = 12.2
    charge_min_percent: float = 20.0
    window: tuple[int, int] | None = None  # minutes of the day, from and until; None: any time


def _parked(facts: Facts, _: Terms) -> str:
    if facts.speed_km_h is None:
        return "nobody says how fast the vehicle moves"
    if abs(facts.speed_km_h) > STANDING_MAX_KM_H:
        return f"the vehicle moves at {facts.speed_km_h:g} km/h"
    if facts.is_brake_set or facts.gear in (126, "P"):
        return ""
    if facts.is_brake_set is None and facts.gear is None:
        return "nobody says whether the parking brake is set"
    return "the parking brake is not set, and the gear is not in park"


def _ignition_off(facts: Facts, _: Terms) -> str:
    if facts.is_ignition_on is None:
        return "nobody says whether the ignition is off"
    return "the ignition is on" if facts.is_ignition_on else ""


def _ignition_on(facts: Facts, _: Terms) -> str:
    if facts.is_ignition_on is None:
        return "nobody says whether the ignition is on"
    return "" if facts.is_ignition_on else "the ignition is off"


def _battery(facts: Facts, terms: Terms) -> str:
    if facts.battery_v is None:
        return "nobody says how the battery is"
    if facts.battery_v >= terms.battery_min_v:
        return ""
    return f"the battery has {facts.battery_v:g} V, and {terms.battery_min_v:g} V are needed"


def _charge(facts: Facts, terms: Terms) -> str:
    if facts.charge_percent is None:
        return "nobody says how far the traction battery is charged"
    if facts.charge_percent >= terms.charge_min_percent:
        return ""
    return (
        f"the traction battery is at {facts.charge_percent:g} %, "
        f"and {terms.charge_min_percent:g} % are needed"
    )


def _window(facts: Facts, terms: Terms) -> str:
    if terms.window is None:
        return ""
    start, end = terms.window
    now = facts.minute_of_day
    inside = start <= now < end if start <= end else now >= start or now < end
    return (
        "" if inside else f"it is {_hour(now)}, and updates run from {_hour(start)} to {_hour(end)}"
    )


CONDITIONS: dict[str, Callable[[Facts, Terms], str]] = {
    "parked": _parked,
    "ignition_off": _ignition_off,
    "ignition_on": _ignition_on,
    "battery": _battery,
    "charge": _charge,
    "window": _window,
}


def unmet(order: Order, facts: Facts, terms: Terms, *, now_ns: int) -> tuple[str, ...]:
    """Return why an order may not be installed now, a sentence each; none: it may."""
    asked = [*terms.conditions, "window"]
    for task in order.tasks:
        asked += task.assigned.image.install.conditions
    found = []
    for name in dict.fromkeys(asked):
        condition = CONDITIONS.get(name)
        if condition is None:
            found.append(f"the release demands {name!r}, which this vehicle does not know")
        elif sentence := condition(facts, terms):
            found.append(sentence)
    if asking := consent_lacks(order, now_ns=now_ns):
        found.append(asking)
    return tuple(found)


def consent_lacks(order: Order, *, now_ns: int) -> str:
    """Return what the driver has still to say, "" for nothing."""
    if not order.needs_consent or order.consent is Consent.ACCEPTED:
        return ""
    if order.consent is Consent.POSTPONED and now_ns < order.postponed_until_ns:
        minutes = -(-(order.postponed_until_ns - now_ns) // NS_PER_MIN)
        return f"the driver has postponed it, for {minutes} minutes yet"
    return "the driver has not said yes yet"


def known(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of conditions.  Raises BadInput for one that is none."""
    names = tuple(names)
    for name in names:
        if name not in CONDITIONS:
            raise BadInput(f"{name!r} is no condition; choose from {', '.join(CONDITIONS)}")
    return names


def minutes(text: str) -> int:
    """Return the minute of the day of "22:30".  Raises BadInput."""
    hour, _, minute = text.partition(":")
    if hour.isdecimal() and minute.isdecimal() and len(minute) == 2:
        value = int(hour) * 60 + int(minute)
        if int(minute) < 60 and value <= MINUTES_A_DAY:
            return value
    raise BadInput(f"{text!r} is no time of the day: write it as 22:30")


def _hour(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
