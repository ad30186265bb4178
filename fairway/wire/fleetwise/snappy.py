"""Raw Snappy blocks with bounds: nothing is decompressed before it is known how large it becomes.

A raw block begins with the size of its content as a varint; there is no magic number and no checksum.
"""

import cramjam

from fairway.errors import BadInput

_SIZE_MAX_BYTES = 5  # a varint of 32 bits


def compressed(data: bytes) -> bytes:
    """Return `data` as a raw block."""
    return bytes(cramjam.snappy.compress_raw(data))


def decompressed(block: bytes, *, max_bytes: int, what: str) -> bytes:
    """Return the content of a raw block.  Raises BadInput for no such block, or one of over `max_bytes`."""
    size = _content_size(block)
    if size is None or size > max_bytes:
        raise BadInput(f"{what} is no Snappy block of at most {max_bytes} bytes")
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except (cramjam.DecompressionError, ValueError) as error:
        raise BadInput(f"{what} is no Snappy block: {error}") from error


def _content_size(block: bytes) -> int | None:
    size = 0
    for at, byte in enumerate(block[:_SIZE_MAX_BYTES]):
        size |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return size
    return None
