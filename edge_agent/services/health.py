"""When a service is asked how it is, and what the answers amount to.

    begun > answered > answered > ...           due_ns: the next question, is_passed: the verdict

Rule 1: one pass is enough for a verdict; `failures` in a row turn it, and no answer in between counts as none.
Rule 2: until readiness has passed once it is asked sooner, with growing steps: who is up early is used early.
Rule 3: a command is a program that is started: once it has passed it is run every COMMAND_INTERVAL_S at most.
Rule 4: answers are taken in order; the next question is never before the answer.
"""

from dataclasses import dataclass, replace

from fairway.clock import NS_PER_S
from fairway.services.model import Check, Command, Health

# The first steps while a service comes up; doubled until they reach the check's own interval.
EAGER_S = 0.1
# A command costs a container program's start, 10 to 20 ms of a processor: 1 % of one for each service.
COMMAND_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One check of one running instance."""

    check: Check
    is_eager: bool  # until it has passed once
    due_ns: int  # monotonic
    asked: int = 0
    failed: int = 0  # in a row
    is_passed: bool | None = None  # None: not known yet
    last: str = ""  # what the last answer was, "" for a pass
    last_ns: int = 0  # monotonic; 0: never


def begun(check: Check, *, is_eager: bool, now_ns: int) -> Standing:
    """Return the check of an instance that was started now."""
    return Standing(check, is_eager, now_ns + round(check.delay_s * NS_PER_S))


def answered(standing: Standing, answer: str, now_ns: int) -> Standing:
    """Return the standing after an answer: "" for a pass, else why not."""
    asked = standing.asked + 1
    if not answer:
        taken = replace(standing, failed=0, is_passed=True, is_eager=False)
    else:
        failed = standing.failed + 1
        is_passed = False if failed >= standing.check.failures else standing.is_passed
        taken = replace(standing, failed=failed, is_passed=is_passed)
    return replace(
        taken,
        asked=asked,
        last=answer,
        last_ns=now_ns,
        due_ns=now_ns + round(_step_s(taken, asked) * NS_PER_S),
    )


def interval_s_of(check: Check) -> float:
    """Return how far apart questions are."""
    if isinstance(check.probe, Command):
        return max(check.interval_s, COMMAND_INTERVAL_S)
    return check.interval_s


def slowed(health: Health) -> tuple[str, ...]:
    """Return a sentence for each check that is asked less often than its manifest says."""
    return tuple(
        f"its {kind} command is run every {COMMAND_INTERVAL_S:g} s, not every {check.interval_s:g} s: "
        "ask a socket, which costs next to nothing"
        for kind, check in (("liveness", health.liveness), ("readiness", health.readiness))
        if check is not None and interval_s_of(check) > check.interval_s
    )


def _step_s(standing: Standing, asked: int) -> float:
    interval_s = interval_s_of(standing.check)
    if not standing.is_eager:
        return interval_s
    return min(interval_s, EAGER_S * 2.0 ** min(asked - 1, 16))
