"""How large files are fetched: what an answer means, how long to wait, what is too slow.

    ask from a byte on > answer > READ it | READ_ANEW from byte 0 | ANEW: ask from byte 0 | MOVED elsewhere
                                | AGAIN later | GIVE_UP for now | NEVER

Rule 1: bytes that were verified are joined with nothing but the bytes that follow them in the same file: an
answer that is not exactly the range that was asked for is not joined.
Rule 2: whatever goes wrong is tried again a few times only; who sends bytes that get us on is tried on.
Rule 3: a file is begun anew once; twice, and the server is at fault.
Rule 4: the cloud may send us elsewhere, that place may not send us on.
"""

from dataclasses import dataclass
from enum import Enum, auto

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Tampered, Unavailable
from ota.manifest import Blob
from ota.trust.model import Attack

# What is fetched of hashes is held in memory: 8 MiB of them are for 1 TiB in chunks of 4 MiB.
CHUNK_LIST_MAX_BYTES = 8 << 20
CHUNK_MIN_BYTES = 4096
CHUNK_MAX_BYTES = 64 << 20
_HASH_BYTES = 32


class Attacked(Tampered):
    """What was sent, or how, is an attack; the next report names it."""

    def __init__(self, attack: Attack, sentence: str) -> None:
        super().__init__(sentence)
        self.attack = attack


class Cut(Unavailable):
    """The line broke, or nobody answered."""


class NoRoom(Unavailable):
    """The disk has no room for what is to be fetched, or does not keep it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is put up with."""

    # Slower than GPRS for a minute, while bytes do come, is somebody who holds us up.
    speed_min_bytes_s: int = 1_000
    speed_window_s: float = 60.0
    # Nothing at all for so long: a tunnel, or a connection that is gone.
    silence_max_s: float = 30.0
    # In a row, without `progress_min_bytes` in between.
    tries_max: int = 8
    progress_min_bytes: int = 64 * 1024
    missing_max: int = (
        3  # how often a file that is not there is looked for: it may just be published
    )
    wait_first_s: float = 1.0
    wait_max_s: float = 120.0
    # A server that says "later" is believed for so long; beyond, the order waits for the next look.
    retry_after_max_s: float = 300.0


class Act(Enum):
    """What to do with an answer."""

    READ = auto()  # its body goes on where we are
    READ_ANEW = auto()  # its body is the whole file: ours so far is given up
    ANEW = auto()  # ask again, for the whole file
    MOVED = auto()  # ask there
    AGAIN = auto()  # later
    MISSING = auto()  # later, a few times
    GIVE_UP = auto()  # not in this fetch
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    offset: int
    length: int  # of the whole file
    was_begun_anew: bool = False
    is_elsewhere: bool = False  # where the cloud sent us


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, as far as it matters."""

    status: int
    length: int | None = None  # of the body, when it was said
    first: int | None = None  # of a part: its first byte
    total: int | None = None  # of a part, or of 416: the length of the whole
    is_packed: bool = False  # somebody on the way has compressed it
    location: str = ""
    retry_after_s: float | None = None


def act_on(answer: Answer, asked: Asked) -> Act:
    """Return what to do.  Raises Attacked for a file that cannot be the one that is wanted."""
    match answer.status:
        case 206:
            return _of_part(answer, asked)
        case 200:
            return _of_whole(answer, asked)
        case 416:
            return _of_another_length(answer.total, asked)
        case 301 | 302 | 303 | 307 | 308:
            can_go = answer.location.startswith("https://") and not asked.is_elsewhere
            return Act.MOVED if can_go else Act.GIVE_UP
        case 401 | 403 if asked.is_elsewhere:
            # An address for a while is over after that while: the cloud gives another.
            return Act.AGAIN
        case _:
            return _of_error(answer.status)


def _of_part(answer: Answer, asked: Asked) -> Act:
    if answer.is_packed:
        return Act.GIVE_UP
    if answer.total is not None and answer.total != asked.length:
        return _of_another_length(answer.total, asked)
    if answer.first != asked.offset:
        return Act.GIVE_UP if asked.was_begun_anew or not asked.offset else Act.ANEW
    return Act.READ


def _of_whole(answer: Answer, asked: Asked) -> Act:
    if answer.is_packed:
        return Act.GIVE_UP
    if answer.length is not None and answer.length != asked.length:
        attack = Attack.ARBITRARY_SOFTWARE
        if answer.length > asked.length:
            attack = Attack.ENDLESS_DATA
        raise Attacked(
            attack, f"the file has {answer.length} bytes there, and {asked.length} were signed"
        )
    if not asked.offset:
        return Act.READ
    return Act.GIVE_UP if asked.was_begun_anew else Act.READ_ANEW


def _of_another_length(total: int | None, asked: Asked) -> Act:
    if asked.offset and not asked.was_begun_anew:
        return Act.ANEW
    raise Attacked(
        Attack.ARBITRARY_SOFTWARE,
        f"the file has {'other' if total is None else total} bytes there, and {asked.length} were signed",
    )


def act_on_small(status: int) -> Act:
    """Return what to do with the answer to a small request: metadata, a report, events."""
    if status in (200, 201, 202, 204):
        return Act.READ
    # Somebody has to accept the vehicle's ECUs.
    return Act.GIVE_UP if status == 409 else _of_error(status)


def _of_error(status: int) -> Act:
    if status in (404, 410):
        return Act.MISSING if status == 404 else Act.NEVER
    if status in (401, 403):  # somebody has to let the vehicle in
        return Act.GIVE_UP
    if status in (408, 421, 425, 429) or status >= 500:
        return Act.AGAIN
    return Act.NEVER if status >= 400 else Act.GIVE_UP


def wait_s(patience: Patience, tries: int, retry_after_s: float | None, chance: float) -> float:
    """Return how long to wait before try number `tries` + 1; `chance` is a random number from 0 to 1.

    Nobody comes back at the same moment as the thousands whom the same outage has cut off.

    Raises Unavailable when the server said to come much later.
    """
    if retry_after_s is not None and retry_after_s > patience.retry_after_max_s:
        raise Unavailable(f"the cloud says to come again in {retry_after_s:.0f} s")
    doubled = min(patience.wait_max_s, patience.wait_first_s * 2.0 ** min(tries - 1, 30))
    spread = doubled * (0.5 + chance / 2)
    return spread if retry_after_s is None else retry_after_s + spread * 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """Bytes that came, and how long was waited for them, within the present window."""

    taken_bytes: int = 0
    waited_ns: int = 0


def paced(patience: Patience, pace: Pace, taken_bytes: int, waited_ns: int) -> Pace:
    """Return the pace after more bytes.  Raises Attacked when they come too slowly."""
    bytes_now, waited_now_ns = pace.taken_bytes + taken_bytes, pace.waited_ns + waited_ns
    if waited_now_ns < patience.speed_window_s * NS_PER_S:
        return Pace(bytes_now, waited_now_ns)
    least = patience.speed_min_bytes_s * waited_now_ns / NS_PER_S
    if bytes_now < least:
        raise Attacked(
            Attack.SLOW_RETRIEVAL,
            f"{bytes_now} bytes came in {waited_now_ns / NS_PER_S:.0f} s:"
            f" {patience.speed_min_bytes_s} a second are the least",
        )
    return Pace()


@dataclass(frozen=True, slots=True)
class Tries:
    """What has gone wrong since the fetch last got on."""

    failed: int = 0
    missing: int = 0


def tried(patience: Patience, tries: Tries, *, got_bytes: int, act: Act, why: str) -> Tries:
    """Return the tries after one that failed.

    Raises Unavailable when there were enough for now, BadInput when nothing will come of more.
    """
    if act is Act.NEVER:
        raise BadInput(why)
    if act is Act.GIVE_UP:
        raise Unavailable(why)
    before = Tries() if got_bytes >= patience.progress_min_bytes else tries
    after = Tries(before.failed + 1, before.missing + (act is Act.MISSING))
    if after.missing >= patience.missing_max:
        raise BadInput(f"{why}, {after.missing} times")
    if after.failed >= patience.tries_max:
        raise Unavailable(f"{why}: that was try {after.failed}")
    return after


def chunk_list(blob: Blob) -> Blob | None:
    """Return the blob that holds a hash for each chunk of `blob`, None when there is none.  Raises BadInput."""
    if not blob.chunk_bytes or not blob.chunks_sha256:
        return None
    if not CHUNK_MIN_BYTES <= blob.chunk_bytes <= CHUNK_MAX_BYTES:
        raise BadInput(
            f"{blob.sha256} has chunks of {blob.chunk_bytes} bytes:"
            f" {CHUNK_MIN_BYTES} to {CHUNK_MAX_BYTES} are possible"
        )
    length = -(-blob.length // blob.chunk_bytes) * _HASH_BYTES
    if length > CHUNK_LIST_MAX_BYTES:
        raise BadInput(f"{blob.sha256} has {length // _HASH_BYTES} chunks: choose larger ones")
    return Blob(blob.chunks_sha256, length)


def chunk_hashes(data: bytes) -> tuple[bytes, ...]:
    """Return the hash of each chunk."""
    return tuple(data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES))
