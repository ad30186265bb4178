"""Columns of whole numbers as byte planes: all lowest bytes, then all next ones.

The bytes of one plane are alike, those of one number are not: planes are what makes zstd find something.
"""

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput

Unsigned = NDArray[np.unsignedinteger]
Signed = NDArray[np.signedinteger]

UNSIGNED: dict[int, type[np.unsignedinteger]] = {
    1: np.uint8,
    2: np.uint16,
    4: np.uint32,
    8: np.uint64,
}
SIGNED: dict[int, type[np.signedinteger]] = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


def planes(numbers: Unsigned, width: int) -> bytes:
    """Return the lowest `width` bytes of `numbers`, plane by plane."""
    if numbers.itemsize == 1:
        return numbers.tobytes() if width else b""
    octets = numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize)
    return octets[:, :width].T.tobytes()


def width_of(largest: int) -> int:
    """Return how many planes a column needs whose largest number is `largest`."""
    return (largest.bit_length() + 7) // 8


def from_planes(data: bytes, count: int, *, what: str) -> NDArray[np.uint64]:
    """Return `count` numbers from as many planes as there are.  Raises BadInput."""
    width, rest = divmod(len(data), count) if count else (0, len(data))
    if rest or width > 8:
        raise BadInput(f"{what}: {len(data)} bytes are no column of {count} numbers")
    if width == 1:
        return np.frombuffer(data, np.uint8).astype(np.uint64)
    octets = np.zeros((count, 8), np.uint8)
    if width:
        octets[:, :width] = np.frombuffer(data, np.uint8).reshape(width, count).T
    return octets.reshape(-1).view(np.uint64)


def zigzag(numbers: Signed) -> Unsigned:
    """Return 0, -1, 1, -2 ... as 0, 1, 2, 3 ... in the same width."""
    bits = numbers.itemsize * 8
    return ((numbers << 1) ^ (numbers >> (bits - 1))).view(UNSIGNED[numbers.itemsize])


def unzigzag(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return 0, 1, 2, 3 ... as 0, -1, 1, -2 ..."""
    return (numbers >> 1).view(np.int64) ^ -(numbers & 1).view(np.int64)
