"""Whom a campaign has reached so far: a share of its targets that is raised, by hand or by schedule.

    start ---5 %--- after an hour ---25 %--- after a day ---100 %          refused by too many: it stops there

Rule 1: a vehicle's turn is a hash of campaign and vehicle, so raising the share never takes a vehicle out.
Rule 2: a schedule only raises; whoever raises by hand is not brought back by it.
Rule 3: a campaign that stopped by itself goes on when somebody raises it by hand.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fairway.clock import NS_PER_S
from fairway.errors import BadInput

# More steps than anybody watches.
STAGES_MAX = 20
STAGE_MAX_S = 366 * 86_400
# Of those that have answered.  One in ten is no accident any more.
REFUSED_MAX_PERCENT = 10.0
_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """From `after_s` after the start, `percent` of the targets."""

    percent: float
    after_s: int = 0


def checked(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return `stages` when they only raise.  Raises BadInput."""
    if len(stages) > STAGES_MAX:
        raise BadInput(f"stages: {len(stages)} of them; at most {STAGES_MAX} are taken")
    for number, stage in enumerate(stages):
        if not 0 < stage.percent <= 100 or not 0 <= stage.after_s <= STAGE_MAX_S:
            raise BadInput(
                f"stages[{number}]: percent is above 0 and at most 100, after_s 0 to {STAGE_MAX_S}"
            )
        before = stages[number - 1] if number else None
        if before and (stage.percent <= before.percent or stage.after_s <= before.after_s):
            raise BadInput(f"stages[{number}]: is not larger, or not later, than the one before")
    if stages and stages[0].after_s:
        raise BadInput("stages[0].after_s: the first stage begins with the start, after 0 s")
    return tuple(stages)


def turn_percent(campaign: str, vehicle: str) -> float:
    """Return when it is the vehicle's turn: below a share of so many percent it is not."""
    digest = hashlib.sha256(f"{campaign}\0{vehicle}".encode()).digest()
    return int.from_bytes(digest[:8]) % _STEPS * 100 / _STEPS


def is_reached(campaign: str, vehicle: str, percent: float) -> bool:
    """Whether `percent` of the targets of `campaign` include `vehicle`."""
    return percent >= 100 or turn_percent(campaign, vehicle) < percent


def scheduled_percent(stages: Sequence[Stage], started_time_ns: int, now_ns: int) -> float:
    """Return the share that the schedule asks for now; 100 without a schedule."""
    due = [
        stage.percent
        for stage in stages
        if now_ns - started_time_ns >= stage.after_s * NS_PER_S or not stage.after_s
    ]
    return max(due, default=100.0)


def refused_too_often(answered: int, refused: int, most_percent: float) -> bool:
    """Whether more than `most_percent` of the vehicles that answered refuse."""
    return answered > 0 and refused * 100 > most_percent * answered
