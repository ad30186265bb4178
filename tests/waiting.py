"""Waiting for something to become so, however busy the machine is."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(done: Callable[[], Any], within_s: float = 30) -> Any:
    """Return what `done` says once that is true; it may be a coroutine function."""
    async with asyncio.timeout(within_s):
        while True:
            said = done()
            if inspect.isawaitable(said):
                said = await said
            if said:
                return said
            await asyncio.sleep(0.01)
