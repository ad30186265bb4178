"""The time, as the commands have it."""

import pytest

from fairway.clock import SystemClock


@pytest.fixture
def now_ns() -> int:
    return SystemClock().now_ns()
