"""The vehicle that is updated: what is known of it, whether it is well, how it starts anew, what it shows.

Rule 1: a value that is stale, or older than it may be, is none: conditions are about now.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.adapters.update_tools import said_by
from edge_agent.broker.store import Quality
from edge_agent.broker.values import Value
from edge_agent.broker.vehicle import VehicleData, one
from edge_agent.config_updates import UpdateSignals
from edge_agent.updates.conditions import Facts
from edge_agent.updates.ports import Health, Verdict
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable

PROVIDER = "updates"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# VSS: states in which a vehicle is off.
_OFF = frozenset({"LOCK", "OFF"})
_SIGNALS_MAX_AGE_S = 10.0


class VehicleFacts:
    """Reads what conditions are about."""

    def __init__(self, data: VehicleData, signals: UpdateSignals, clock: Clock) -> None:
        self._data, self._signals, self._clock = data, signals, clock

    def __call__(self) -> Facts:
        """Return what is known now."""
        signals = self._signals
        gear = self.value(signals.gear)
        local = time.localtime(self._clock.now_ns() / NS_PER_S)
        return Facts(
            speed_km_h=_number(self.value(signals.speed)),
            is_brake_set=_truth(self.value(signals.parking_brake)),
            gear=gear if isinstance(gear, str | float | int) else None,
            is_ignition_on=_ignition(self.value(signals.ignition)),
            battery_v=_number(self.value(signals.battery)),
            charge_percent=_number(self.value(signals.charge)),
            minute_of_day=local.tm_hour * 60 + local.tm_min,
        )

    def value(self, path: str) -> Value | None:
        """Return a signal's value, None when nobody says it now."""
        number = self._data.signals.find(path) if path else None
        if number is None:
            return None
        now_ns, store = self._clock.monotonic_ns(), self._data.store
        state = store.state(number, now_ns=now_ns)
        if state.quality is not Quality.VALID:
            return None
        is_old = now_ns - store.seen_ns(number) > self._signals.max_age_s * NS_PER_S
        # What is said only when it changes stays true.
        return None if is_old and store.is_timed(number) else state.value


def _number(value: Value | None) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _truth(value: Value | None) -> bool | None:
    return bool(value) if isinstance(value, bool | int | float) else None


def _ignition(value: Value | None) -> bool | None:
    if isinstance(value, str):
        return None if value == "UNDEFINED" else value not in _OFF
    return _truth(value)


class ShownProgress:
    """Tells how an update goes, as signals; called when something has changed."""

    def __init__(self, data: VehicleData, clock: Clock) -> None:
        self._data, self._clock = data, clock
        self._provider = data.providers.publisher(PROVIDER)

    def show(self, values: dict[str, float | str | bool]) -> None:
        """Put values where apps find them."""
        signals, now_ns = self._data.signals, self._clock.monotonic_ns()
        for path, value in values.items():
            number = signals.find(path)
            if number is None:
                continue
            arrived = one(
                number,
                value,
                is_number=bool(signals.is_number[number]),
                time_ns=self._clock.now_ns(),
                source_ns=0,
            )
            self._data.publish(arrived, provider=self._provider, now_ns=now_ns)


class VehicleChecks:
    """Looks whether the vehicle is well: its services, its signals, and what a program says."""

    def __init__(
        self,
        ready: Callable[[str], str],
        seen_s: Callable[[str], float | None],
        *,
        services: Sequence[str] = (),
        signals: Sequence[str] = (),
        command: Sequence[str] = (),
    ) -> None:
        """`ready` returns "" or why a service is not; `seen_s` how long ago a signal was said, None: never."""
        self._ready, self._seen_s = ready, seen_s
        self._services, self._signals, self._command = services, signals, command

    async def look(self) -> Verdict:
        for name in self._services:
            try:
                why = self._ready(name)
            except BadInput as error:
                why = str(error)
            if why:
                return Verdict(Health.NOT_YET, f"the service {name} is not well: {why}")
        for path in self._signals:
            seen_s = self._seen_s(path)
            if seen_s is None or seen_s > _SIGNALS_MAX_AGE_S:
                return Verdict(Health.NOT_YET, f"the signal {path} does not come")
        if self._command:
            try:
                await said_by(self._command)
            except Unavailable as error:
                return Verdict(Health.NOT_YET, str(error))
        return Verdict(Health.WELL)


class ThisMachine:
    """The machine that the agent runs on."""

    def __init__(self, command: Sequence[str], boot_id: Path = BOOT_ID) -> None:
        """`command` has it start anew."""
        self._command, self._boot_id = tuple(command), boot_id

    def boot_id(self) -> str:
        try:
            return self._boot_id.read_text().strip()
        except OSError as error:
            raise Unavailable(f"{self._boot_id} cannot be read: {error.strerror}") from error

    async def restart(self) -> None:
        await said_by(self._command)
        # Who was told to stop us does so; until then nothing else is to be begun.
        await asyncio.sleep(60.0)
