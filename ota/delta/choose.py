"""Which differences are worth keeping, by their size and by the memory that applying them takes.

Rule 1: a difference that saves little is not kept: a vehicle fetches the packed image instead.
Rule 2: of two differences one is dropped when the other is both smaller and applied in less memory.
"""

from collections.abc import Sequence

from ota.manifest import Source

# A difference costs room in the store and a hash in the metadata; it has to save a tenth at least.
SHARE_MAX = 0.9


def worthwhile(made: Sequence[Source], full_bytes: int) -> tuple[Source, ...]:
    """Return the sources to keep, the smallest first; `full_bytes` is what is fetched without any."""
    kept: list[Source] = []
    least_memory: int | None = None
    for one in sorted(made, key=lambda one: (one.blob.length, one.memory_bytes, one.form)):
        if one.blob.length > full_bytes * SHARE_MAX:
            break
        if least_memory is not None and one.memory_bytes >= least_memory:
            continue
        least_memory = one.memory_bytes
        kept.append(one)
    return tuple(kept)
