"""The life of one instance while this agent runs: nothing of it is kept, a new agent sees what is there.

    ABSENT > PREPARING > ABSENT > STARTING > RUNNING > ENDED > STARTING > ...
       ^-------------- STOPPING <-----------------'-----'

Rule 1: what happened to an instance is told here by one function each; what is to be done then, plan.py says.
Rule 2: times are monotonic: a clock that is set starts and stops nothing.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from edge_agent.services.restart import AGAIN_S, HEALTHY_S, restarts, wait_s
from edge_agent.services.runtime import Exit
from fairway.clock import NS_PER_S
from fairway.services.model import Restart


class Up(StrEnum):
    """Whether it is there."""

    ABSENT = "absent"  # nothing of it
    PREPARING = "preparing"  # its image is being unpacked
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"  # by itself; what is left of it lies there


@dataclass(frozen=True, slots=True)
class Life:
    """One instance."""

    up: Up = Up.ABSENT
    since_ns: int = 0  # of `up`
    exit: Exit | None = None  # the last one
    error: str = ""  # why it could not be prepared, started or stopped
    is_hopeless: bool = False  # it can never be started
    is_sick: bool = False  # its liveness failed: it is to end
    sickness: str = ""
    failures: int = 0  # in a row
    starts: int = 0
    tries: int = 0  # to have its image, in vain
    retry_ns: int = 0  # nothing is tried before
    is_ready: bool = False
    ready_ns: int = 0  # since when, with is_ready

    @property
    def is_there(self) -> bool:
        """Whether a runtime has, or may have, something of it."""
        return self.up in (Up.STARTING, Up.RUNNING, Up.STOPPING, Up.ENDED)

    @property
    def is_busy(self) -> bool:
        """Whether something is being done with it: whoever does it reports."""
        return self.up in (Up.PREPARING, Up.STARTING, Up.STOPPING)


def preparing(life: Life, now_ns: int) -> Life:
    """Its image is being unpacked."""
    return replace(life, up=Up.PREPARING, since_ns=now_ns)


def prepared(life: Life, now_ns: int) -> Life:
    """Its image is there."""
    return replace(life, up=Up.ABSENT, since_ns=now_ns, error="", tries=0)


def unprepared(life: Life, why: str, *, now_ns: int, chance: float) -> Life:
    """Its image is not there: later, maybe."""
    tries = life.tries + 1
    retry_ns = now_ns + round(wait_s(tries, chance) * NS_PER_S)
    return replace(life, up=Up.ABSENT, since_ns=now_ns, error=why, tries=tries, retry_ns=retry_ns)


def starting(life: Life, now_ns: int) -> Life:
    """It is being started."""
    return replace(life, up=Up.STARTING, since_ns=now_ns, is_ready=False, is_sick=False)


def started(life: Life, now_ns: int, *, is_ready: bool) -> Life:
    """It runs; without a check of readiness it is ready."""
    return replace(
        life,
        up=Up.RUNNING,
        since_ns=now_ns,
        error="",
        is_hopeless=False,
        starts=life.starts + 1,
        is_ready=is_ready,
        ready_ns=now_ns,
    )


def refused(life: Life, why: str, *, is_hopeless: bool, now_ns: int, chance: float) -> Life:
    """It could not be started."""
    failures = life.failures + 1
    return replace(
        life,
        up=Up.ABSENT,
        since_ns=now_ns,
        error=why,
        is_hopeless=is_hopeless,
        failures=failures,
        retry_ns=now_ns + round(wait_s(failures, chance) * NS_PER_S),
    )


def ready(life: Life, *, is_ready: bool, now_ns: int) -> Life:
    """Its readiness has a verdict."""
    if life.is_ready == is_ready:
        return life
    return replace(life, is_ready=is_ready, ready_ns=now_ns)


def sick(life: Life, why: str) -> Life:
    """Its liveness failed."""
    return replace(life, is_sick=True, sickness=why, is_ready=False)


def stopping(life: Life, now_ns: int) -> Life:
    """It is being stopped."""
    return replace(life, up=Up.STOPPING, since_ns=now_ns)


def stuck(life: Life, why: str, *, now_ns: int, chance: float) -> Life:
    """It could not be stopped; it is tried again."""
    retry_ns = now_ns + round(wait_s(3, chance) * NS_PER_S)
    return replace(life, up=Up.RUNNING, since_ns=now_ns, error=why, retry_ns=retry_ns)


def gone(life: Life, now_ns: int) -> Life:
    """Nothing is left of it, because it was stopped: what it did before is forgiven."""
    return replace(
        life,
        up=Up.ABSENT,
        since_ns=now_ns,
        error="",
        is_ready=False,
        is_sick=False,
        failures=0,
        retry_ns=now_ns,
    )


def ended(life: Life, exit_: Exit, policy: Restart, *, now_ns: int, chance: float) -> Life:
    """It ended by itself, or because its liveness failed."""
    was_well = life.is_ready and now_ns - life.ready_ns >= HEALTHY_S * NS_PER_S
    failures = 0 if was_well else life.failures
    wait = AGAIN_S
    if not exit_.is_success:
        failures += 1
        wait = wait_s(failures, chance)
    retry_ns = now_ns + round(wait * NS_PER_S) if restarts(policy, exit_) else 0
    return replace(
        life,
        up=Up.ENDED,
        since_ns=now_ns,
        exit=exit_,
        failures=failures,
        retry_ns=retry_ns,
        is_ready=False,
        ready_ns=now_ns,
    )
