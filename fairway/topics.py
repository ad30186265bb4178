"""The only speller of MQTT topics.

    fairway/v1/<vehicle>/up/telemetry     vehicle -> cloud   TelemetryRequest, QoS 1
    fairway/v1/<vehicle>/down/telemetry   cloud -> vehicle   TelemetryResponse, QoS 1
    fairway/v1/<vehicle>/up/control       vehicle -> cloud   ControlRequest, QoS 1
    fairway/v1/<vehicle>/down/control     cloud -> vehicle   ControlResponse, QoS 1

A vehicle may publish below its own `up/` and read below its own `down/`, and nothing else.
"""

from fairway.errors import BadInput
from fairway.ids import vehicle_id

ROOT = "fairway/v1"

# What the cloud reads, and the trees that a broker's access rules are generated from.
ALL_UP_TELEMETRY = f"{ROOT}/+/up/telemetry"
ALL_UP_CONTROL = f"{ROOT}/+/up/control"
ALL_UP = f"{ROOT}/+/up/#"
ALL_DOWN = f"{ROOT}/+/down/#"


def up_telemetry(vehicle: str) -> str:
    """Where `vehicle` publishes its TelemetryRequests."""
    return f"{ROOT}/{vehicle}/up/telemetry"


def down_telemetry(vehicle: str) -> str:
    """Where `vehicle` reads its TelemetryResponses."""
    return f"{ROOT}/{vehicle}/down/telemetry"


def up_control(vehicle: str) -> str:
    """Where `vehicle` publishes its ControlRequests."""
    return f"{ROOT}/{vehicle}/up/control"


def down_control(vehicle: str) -> str:
    """Where `vehicle` reads its ControlResponses."""
    return f"{ROOT}/{vehicle}/down/control"


def up_tree(vehicle: str) -> str:
    """Everything `vehicle` may publish."""
    return f"{ROOT}/{vehicle}/up/#"


def down_tree(vehicle: str) -> str:
    """Everything `vehicle` may read."""
    return f"{ROOT}/{vehicle}/down/#"


def client_id(vehicle: str) -> str:
    """Return the MQTT client id of `vehicle`: some brokers (nats-server) refuse one with a dot in it."""
    return vehicle.replace(".", ":")


def vehicle_of(topic: str) -> str:
    """Return whose topic this is.  Raises BadInput for a topic that is not ours."""
    parts = topic.split("/")
    if len(parts) < 4 or f"{parts[0]}/{parts[1]}" != ROOT:
        raise BadInput(f"{topic[:120]!r} is not a Fairway topic ({ROOT}/<vehicle>/...)")
    return vehicle_id(parts[2])
