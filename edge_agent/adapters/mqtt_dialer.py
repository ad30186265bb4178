"""Opens connections to a broker in the version of MQTT that it speaks.

Rule 1: MQTT 5 is tried first; a broker that refuses it is spoken to in 3.1.1 from then on.  One that hangs up
        without a word is tried in either version in turn, until one has worked.
"""

import asyncio

from paho.mqtt.enums import MQTTProtocolVersion

from edge_agent.adapters.mqtt_line import (
    CONNECT_TIMEOUT_S,
    Caller,
    HungUp,
    MqttLine,
    SpeaksOnly311,
)
from edge_agent.adapters.uplink_tls import Address, tls_context
from fairway.errors import BadInput, Unavailable

_OTHER = {
    MQTTProtocolVersion.MQTTv5: MQTTProtocolVersion.MQTTv311,
    MQTTProtocolVersion.MQTTv311: MQTTProtocolVersion.MQTTv5,
}


class MqttDialer:
    """Knows one broker."""

    def __init__(self, target: Address) -> None:
        """Read the certificates.  Raises BadInput."""
        self._target = target
        if target.is_secure:
            tls_context(target)
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._has_worked = False

    async def dial(self, caller: Caller) -> MqttLine:
        """Return an open connection.  Raises Unavailable, Denied."""
        try:
            line = await self._dial(caller)
        except SpeaksOnly311:
            self._protocol = MQTTProtocolVersion.MQTTv311
            line = await self._dial(caller)
        except HungUp:
            if not self._has_worked:
                self._protocol = _OTHER[self._protocol]
            raise
        self._has_worked = True
        return line

    async def _dial(self, caller: Caller) -> MqttLine:
        try:
            line = MqttLine(self._target, caller, protocol=self._protocol)
        except BadInput as error:  # the files were good when we started
            raise Unavailable(str(error)) from error
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await line.open()
        except TimeoutError as error:
            await line.close()
            raise Unavailable(
                f"{self._target} does not answer within {CONNECT_TIMEOUT_S:g} s"
            ) from error
        except BaseException:
            await line.close()
            raise
        return line
