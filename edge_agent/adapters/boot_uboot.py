"""U-Boot: its environment, read and written by fw_printenv and fw_setenv (libubootenv, u-boot-tools).

    fairway_kept=a  fairway_tried=b  upgrade_available=1  bootcount=0     b is tried
    fairway_kept=b  fairway_tried=   upgrade_available=0  bootcount=0     b is kept

Rule 1: one write of the environment each: fw_setenv writes the redundant copy first, so that a cut leaves one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.adapters.update_tools import said_by
from edge_agent.updates.boot import BootState

_KEPT, _TRIED, _TRYING, _COUNT = "fairway_kept", "fairway_tried", "upgrade_available", "bootcount"


class UBoot:
    """The environment."""

    def __init__(
        self,
        booted: Callable[[], str],
        config: Path | None = None,
        *,
        programs: tuple[str, str] = ("fw_printenv", "fw_setenv"),
    ) -> None:
        """`booted` says which slot runs; `config` is fw_env.config, where it lies elsewhere."""
        self._booted, self._programs = booted, programs
        self._options: Sequence[str] = () if config is None else ("-c", str(config))

    async def state(self) -> BootState:
        lines = (await said_by([self._programs[0], *self._options])).splitlines()
        said = dict(line.split("=", 1) for line in lines if "=" in line)
        booted = self._booted()
        tried = said.get(_TRIED, "") if said.get(_TRYING) == "1" else ""
        return BootState(booted, said.get(_KEPT, "") or booted, tried)

    async def try_slot(self, slot: str) -> None:
        kept = (await self.state()).kept
        await self._set({_KEPT: kept, _TRIED: slot, _TRYING: "1", _COUNT: "0"})

    async def keep_slot(self, slot: str) -> None:
        await self._set({_KEPT: slot, _TRIED: "", _TRYING: "0", _COUNT: "0"})

    async def _set(self, said: dict[str, str]) -> None:
        script = "".join(f"{name}={value}\n" for name, value in said.items())
        await said_by([self._programs[1], *self._options, "-s", "-"], script.encode())
