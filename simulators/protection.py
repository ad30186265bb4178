"""How our own databases protect their safety-relevant frames.

Rule 1: a message is protected when it has the signals Counter (0 to 15) and Checksum: CRC-8 of SAE J1850 over
        the identifier (two bytes, low byte first) and the rest of the payload.
"""

from edge_agent.canbus.checksums import Protection
from edge_agent.canbus.model import Message

KIND = "crc8-sae-j1850"
COUNTER, CHECKSUM = "Counter", "Checksum"


def protection_of(message: Message) -> Protection | None:
    """Return how `message` is protected, or None when it is not."""
    if not {COUNTER, CHECKSUM} <= {signal.name for signal in message.signals}:
        return None
    return Protection(message, KIND, CHECKSUM, COUNTER, (message.frame_id,))
