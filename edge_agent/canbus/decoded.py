"""What decoding frames gives: columns of signal values, and counts of what could not be read."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Refusals(NamedTuple):
    """Frames of one call that gave nothing, or not everything, by reason."""

    unknown_id: int = 0  # no database of that bus knows the id
    short: int = 0  # a signal lies (partly) behind the end of the payload; the others were decoded
    unknown_multiplexer: int = 0  # a multiplexer's value brings no signal; the others were decoded
    remote: int = 0  # remote frames carry no data
    error: int = 0  # error frames are no traffic


class Decoded(NamedTuple):
    """Signal values as columns of equal length, frame by frame in the order of the frames."""

    signal: NDArray[np.int32]  # number in the plan
    raw: NDArray[
        np.int64
    ]  # the bits: sign-extended integers, IEEE bits of floats, the low 64 of wider ones
    value: NDArray[np.float64]  # physical
    frame: NDArray[np.int32]  # row in the frame block
    refusals: Refusals


# Positions of the reasons in Refusals.
UNKNOWN_ID, SHORT_FRAME, UNKNOWN_MULTIPLEXER, REMOTE_FRAME, ERROR_FRAME = range(5)
