"""A bus that comes and goes."""

from collections.abc import Callable

import pytest

from edge_agent.adapters.patience import RETRY_S, START_PATIENCE_S, Patient
from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import Unavailable

HERE = block_of([Frame(1, b"")])
Step = Callable[[], FrameBlock | None]


class Script:
    """A source that plays what a test wrote."""

    dropped = 3

    def __init__(self, steps: list[object], clock: ManualClock) -> None:
        self._steps, self._clock = steps, clock
        self.is_closed = False

    async def receive(self) -> FrameBlock | None:
        step = self._steps.pop(0) if self._steps else Unavailable("no such bus")
        if isinstance(step, float):
            self._clock.advance(int(step * NS_PER_S))
            step = Unavailable("the bus is gone")
        if isinstance(step, Unavailable):
            raise step
        assert step is None or isinstance(step, FrameBlock)
        return step

    def close(self) -> None:
        self.is_closed = True


def patient(*steps: object) -> Patient:
    clock = ManualClock()

    async def sleep(duration_s: float) -> None:
        clock.advance(int(duration_s * NS_PER_S))

    return Patient(Script(list(steps), clock), "can0", clock, sleep=sleep)


GONE = Unavailable("no such bus")


async def test_a_bus_that_shows_up_while_the_system_starts_is_no_failure():
    bus = patient(*[GONE] * int(START_PATIENCE_S / RETRY_S), HERE)

    assert await bus.receive() is HERE


async def test_a_bus_that_never_shows_up_is_said():
    with pytest.raises(Unavailable, match="no such bus"):
        await patient().receive()


async def test_a_bus_that_has_worked_is_waited_for_for_ever(caplog: pytest.LogCaptureFixture):
    bus = patient(HERE, *[GONE] * 500, HERE)

    assert await bus.receive() is HERE
    with caplog.at_level("INFO"):
        assert await bus.receive() is HERE
    assert [record.getMessage() for record in caplog.records] == ["bus_unavailable", "bus_is_back"]


async def test_a_silent_bus_that_is_lost_has_worked():
    bus = patient(3600.0, *[GONE] * 500, HERE)

    assert await bus.receive() is HERE


async def test_the_end_and_what_was_dropped_are_the_sources_own():
    bus = patient(None)

    assert await bus.receive() is None
    assert bus.dropped == 3
