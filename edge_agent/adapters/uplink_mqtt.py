"""The MQTT uplink: telemetry and control published with QoS 1, answers heard on the vehicle's own topics.

Rule 1: a broker that does not let us hear the control topic costs the campaigns, not the telemetry.
"""

import asyncio

from edge_agent.adapters.mqtt_dialer import MqttDialer
from edge_agent.adapters.mqtt_line import Caller, MqttLine
from edge_agent.adapters.uplink_tls import Address
from fairway.errors import BadInput, Unavailable
from fairway.topics import client_id, down_control, down_telemetry, up_control, up_telemetry

_Heard = asyncio.Queue[bytes | None]  # None: the connection is lost


class MqttUplink:
    """An uplink through a broker."""

    def __init__(self, target: Address, *, vehicle: str) -> None:
        """Read the certificates.  Raises BadInput."""
        self._target, self._vehicle = target, vehicle
        self._dialer = MqttDialer(target)
        self._line: MqttLine | None = None
        self._telemetry, self._control = _Heard(), _Heard()

    async def connect(self) -> None:
        await self.close()
        telemetry, control = _Heard(), _Heard()
        of = {down_telemetry(self._vehicle): telemetry, down_control(self._vehicle): control}
        caller = Caller(
            client_id(self._vehicle),
            [down_telemetry(self._vehicle)],
            lambda topic, message: of[topic].put_nowait(message),
            optional=[down_control(self._vehicle)],
        )
        line = await self._dialer.dial(caller)
        line.lost.add_done_callback(lambda _: telemetry.put_nowait(None))
        line.lost.add_done_callback(lambda _: control.put_nowait(None))
        self._line, self._telemetry, self._control = line, telemetry, control

    async def send(self, request: bytes) -> None:
        await self._open().publish(up_telemetry(self._vehicle), request)

    async def receive(self) -> bytes:
        return await _next(self._open(), self._telemetry)

    async def send_control(self, request: bytes) -> None:
        await self._open().publish(up_control(self._vehicle), request)

    async def receive_control(self) -> bytes:
        line, topic = self._open(), down_control(self._vehicle)
        if topic in line.refused:
            raise BadInput(f"{self._target} does not let this vehicle hear {topic}")
        return await _next(line, self._control)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _open(self) -> MqttLine:
        if self._line is None:
            raise Unavailable(f"there is no connection to {self._target}")
        return self._line


async def _next(line: MqttLine, heard: _Heard) -> bytes:
    message = await heard.get()
    if message is None:
        heard.put_nowait(None)  # for whoever asks again
        raise line.lost.result()
    return message
