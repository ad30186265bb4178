"""Columns of whole numbers as byte planes: all lowest bytes, then all next ones.

The bytes of one plane are alike, those of one number are not: planes are what makes zstd find something.
"""

from collections.abc import Sequence

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


def from_planes(
    columns: Sequence[bytes], counts: Sequence[int], *, what: str
) -> NDArray[np.uint64]:
    """Return the numbers of several columns, end to end: `counts` of each, from as many planes as it has.

    Raises BadInput.
    """
    widest = 0
    for data, count in zip(columns, counts, strict=True):
        width, rest = divmod(len(data), count) if count else (0, len(data))
        if rest or width > 8:
            raise BadInput(f"{what}: {len(data)} bytes are no column of {count} numbers")
        widest = max(widest, width)
    octets = np.zeros((sum(counts), 8), np.uint8)
    for plane in range(widest):
        octets[:, plane] = _plane(columns, counts, plane)
    return octets.reshape(-1).view(np.uint64)


def from_whole_planes(columns: Sequence[bytes], counts: Sequence[int], width: int) -> Unsigned:
    """Return the numbers of several columns, end to end: `counts` of each, from exactly `width` planes."""
    if width == 1:
        return np.frombuffer(b"".join(columns), np.uint8)
    octets = np.empty((sum(counts), width), np.uint8)
    for plane in range(width):
        octets[:, plane] = _plane(columns, counts, plane)
    return octets.reshape(-1).view(UNSIGNED[width])


def _plane(columns: Sequence[bytes], counts: Sequence[int], plane: int) -> NDArray[np.uint8]:
    """Return one plane of all columns, end to end; of a column that has not so many it is zeros."""
    pieces = [
        data[plane * count : (plane + 1) * count] or bytes(count)
        for data, count in zip(columns, counts, strict=True)
    ]
    return np.frombuffer(b"".join(pieces), np.uint8)


def zigzag(numbers: Signed) -> Unsigned:
    """Return 0, -1, 1, -2 ... as 0, 1, 2, 3 ... in the same width."""
    bits = numbers.itemsize * 8
    return ((numbers << 1) ^ (numbers >> (bits - 1))).view(UNSIGNED[numbers.itemsize])


def unzigzag(numbers: Unsigned) -> Signed:
    """Return 0, 1, 2, 3 ... as 0, -1, 1, -2 ... in the same width."""
    signed = SIGNED[numbers.itemsize]
    half: Signed = (numbers >> 1).view(signed)
    return half ^ -(numbers & 1).view(signed)
