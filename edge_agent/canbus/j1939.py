"""SAE J1939: a message is known by its parameter group, not by its whole identifier.

    28..26    25   24   23..16       15..8                7..0
    priority  EDP  DP   PDU format   PDU specific         source address
                        < 240: PDU1  destination address
                        >= 240: PDU2 group extension

Rule 1: the key is the parameter group number: priority, source address and a PDU1's destination are masked.
"""

import numpy as np
from numpy.typing import NDArray

PDU2_FIRST_FORMAT = 240


def pgn_of(can_id: int) -> int:
    """Return the parameter group number of a 29-bit id (its flags are ignored)."""
    pgn = can_id >> 8 & 0x3FFFF
    return pgn if pgn >> 8 & 0xFF >= PDU2_FIRST_FORMAT else pgn & 0x3FF00


def pgns_of(can_ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the parameter group numbers of 29-bit ids (their flags are ignored)."""
    pgns = can_ids >> 8 & 0x3FFFF
    return np.where(pgns >> 8 & 0xFF >= PDU2_FIRST_FORMAT, pgns, pgns & 0x3FF00)
