"""Commands to vehicles: made with an id of their own, good for a while, and in the audit log."""

from collections.abc import Callable, Mapping

from fairway.clock import NS_PER_S
from fairway.control import What
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.control.ports import (
    Commands,
    Order,
    Vehicle,
)

# A vehicle that drives into a garage comes out again; what somebody wanted to know a day ago is stale.
EXPIRES_S = 3600


class Commanding:
    """Gives commands."""

    def __init__(self, commands: Commands, audit: Audit, new_id: Callable[[], str]) -> None:
        self._commands, self._audit, self._new_id = commands, audit, new_id

    def give(
        self,
        vehicle: Vehicle,
        what: What,
        *,
        actor: str,
        now_ns: int,
        details: Mapping[str, str] | None = None,
    ) -> Order:
        """Give a command; whichever process reaches the vehicle sends it.  Raises Unavailable.

        `details` is what the audit log says of it beside.
        """
        expires_ns = now_ns + EXPIRES_S * NS_PER_S
        order = Order(self._new_id(), vehicle, what, actor, now_ns, expires_ns)
        act = Act(
            "vehicle.command",
            actor,
            f"vehicle:{vehicle.name}",
            vehicle.tenant,
            details={"command": order.id, "what": type(what).__name__, **(details or {})},
        )
        self._audit.write(act)
        self._commands.add_command(order)
        return order
