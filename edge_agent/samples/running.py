"""How a service lives: it answers at its socket and works until it is told to stop.

    GET /live    200 while it turns        GET /ready    200 while values come, else 503

Rule 1: it ends with 0 when told to, with 3 when its manifest does not allow what it needs.
"""

import signal
import sys
from typing import Any, Protocol

from edge_agent.samples.front import Answers, Front
from edge_agent.samples.vehicle import Refused, Vehicle

REFUSED = 3


class Working(Protocol):
    """What a service does."""

    has_data: bool  # values have come

    def run(self) -> None:
        """Work until the vehicle's updates end.  Raises Refused."""
        ...


def run(name: str, vehicle: Vehicle, service: Working, socket: str, answers: Answers) -> int:
    """Run a service that answers others at `socket`, and return its exit code."""

    def ready() -> tuple[int, Any]:
        is_ready = vehicle.is_connected and service.has_data
        return (200 if is_ready else 503), {"ready": is_ready}

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: vehicle.stop())
    own: Answers = {"/live": lambda: (200, {}), "/ready": ready}
    Front(vehicle.sockets / socket, {**own, **answers}).start()
    print("started", flush=True)
    try:
        service.run()
    except Refused as refused:
        print(f"{name} {refused}", file=sys.stderr, flush=True)
        return REFUSED
    finally:
        vehicle.close()
    print("stopped", flush=True)
    return 0
