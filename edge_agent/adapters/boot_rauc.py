"""RAUC: where it runs the bootloader already, its own command marks slots; a slot is called by its bootname.

Rule 1: RAUC makes a slot the primary one and counts its starts: until it is marked good, it is on trial.
"""

import json
from typing import Any

from edge_agent.adapters.update_tools import said_by
from edge_agent.updates.boot import BootState
from fairway.errors import BadInput, Unavailable


class Rauc:
    """The command."""

    def __init__(self, program: str = "rauc") -> None:
        self._program = program

    async def state(self) -> BootState:
        said, slots = await self._status()
        booted, primary = str(said.get("booted") or ""), str(said.get("boot_primary") or "")
        names = {slot: name for name, slot in slots.items()}
        first = names.get(primary, booted)
        if await self._is_good(first):
            return BootState(booted, first)
        others = [name for name in slots if name != first]
        return BootState(booted, others[0] if others else first, first)

    async def try_slot(self, slot: str) -> None:
        # What was bad once gets its starts back only by being marked active.
        await said_by([self._program, "status", "mark-active", await self._slot(slot)])

    async def keep_slot(self, slot: str) -> None:
        name = await self._slot(slot)
        await said_by([self._program, "status", "mark-active", name])
        await said_by([self._program, "status", "mark-good", name])

    async def _slot(self, bootname: str) -> str:
        _, slots = await self._status()
        if bootname not in slots:
            raise BadInput(f"RAUC has no slot with the bootname {bootname!r}: {', '.join(slots)}")
        return slots[bootname]

    async def _is_good(self, bootname: str) -> bool:
        said, slots = await self._status()
        for one in said["slots"]:
            for name, about in one.items():
                if name == slots.get(bootname):
                    return (about.get("state"), about.get("boot_status")) == ("booted", "good")
        return False

    async def _status(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what RAUC says, and its bootable slots by bootname."""
        text = await said_by([self._program, "status", "--output-format=json"])
        try:
            said = json.loads(text)
            slots = {
                str(about["bootname"]): name
                for one in said["slots"]
                for name, about in one.items()
                if about.get("bootname")
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(f"{self._program} status says something else: {error!r}") from error
        return said, slots
