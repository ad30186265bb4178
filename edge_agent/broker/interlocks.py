"""Whether a condition holds in the vehicle now, in a sentence: for interlocks and for frames that may go out.

    Vehicle.Speed == 0     holds      ""
                           not        "Vehicle.Speed == 0 does not hold: Vehicle.Speed is 12.5"
                           unknown    "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is stale"

Rule 1: only a VALID value counts: a stale, invalid or missing one makes the condition unknown.
Rule 2: only what the vehicle's own buses say counts: an app cannot publish an interlock away.
"""

from edge_agent.broker.store import Quality
from edge_agent.broker.vehicle import VehicleData
from fairway.errors import BadInput
from fairway.expression.conditions import Condition


class Interlocks:
    """Asks the vehicle's data."""

    def __init__(self, data: VehicleData) -> None:
        self._data = data

    def check(self, condition: Condition) -> None:
        """Raise BadInput when the condition asks for what is no number of this vehicle."""
        for path in condition.paths:
            number = self._data.signals.find(path)
            if number is None:
                raise BadInput(f"the condition {condition.text!r:.120}: there is no signal {path}")
            if not self._data.signals.is_number[number]:
                raise BadInput(
                    f"the condition {condition.text!r:.120}: {path} is a "
                    f"{self._data.signals[number].datatype}, and conditions are about numbers"
                )

    def against(self, condition: Condition | None, *, now_ns: int) -> str:
        """Return what speaks against it now, "" when it holds or there is no condition."""
        if condition is None:
            return ""
        values: dict[str, float] = {}
        told = []
        for path in condition.paths:
            value, what = self._value(path, now_ns)
            if value is not None:
                values[path] = value
            told.append(f"{path} is {what}")
        holds = condition.holds(values)
        if holds:
            return ""
        how = "does not hold" if holds is not None else "cannot be told"
        return f"{condition.text} {how}" + (f": {', '.join(told)}" if told else "")

    def _value(self, path: str, now_ns: int) -> tuple[float | None, str]:
        number = self._data.signals.find(path)
        if number is None:
            return None, "unknown"
        state = self._data.store.state(number, now_ns=now_ns)
        if state.quality is not Quality.VALID:
            return None, state.quality.name.lower().replace("_", " ")
        if not self._data.providers.is_bus(state.provider):
            return None, "not said by a bus"
        if not isinstance(state.value, bool | int | float):
            return None, "no number"
        return float(state.value), f"{state.value:g}" if isinstance(state.value, float) else str(
            state.value
        )
