"""What a vehicle keeps of trust between two looks, and how a look changes it.

    Kept --refresh--> Kept'      stored as a whole, in one transaction, or not at all

Rule 1: metadata is kept byte by byte as it came: hashes and signatures are over those bytes.
Rule 2: only what was verified is kept; it is verified again at use, against who delegates to it by then.
Rule 3: a release counter is raised by a commit, never by an offer: what was rolled back may come again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fairway.errors import Tampered
from ota.trust.model import Assigned, Attack, Refusal, Repository

# Clocks without a battery start in 1970, 2000 or where their maker thought: before this nobody has set them.
CLOCKS_START_NS = 1_577_836_800 * 10**9  # 2020-01-01

RoleKey = tuple[Repository, str]


@dataclass(frozen=True, slots=True)
class Held:
    """The image that an ECU holds since the last commit."""

    name: str
    release_counter: int


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is trusted."""

    roles: Mapping[RoleKey, bytes] = field(default_factory=dict)  # by repository and role
    held: Mapping[str, Held] = field(default_factory=dict)  # by the serial of the ECU
    time_ns: int = 0  # the last time that signed metadata confirmed; 0: none yet


def provisioned(director_root: bytes, image_root: bytes, time_ns: int = 0) -> Kept:
    """Return what a new vehicle keeps: the two roots it was made with, and the time of that."""
    roots = {Repository.DIRECTOR: director_root, Repository.IMAGE: image_root}
    roles = {(repository, "root"): root for repository, root in roots.items() if root}
    return Kept(roles=roles, time_ns=time_ns)


def committed(kept: Kept, assigned: tuple[Assigned, ...]) -> Kept:
    """Return what is kept once these images are installed for good."""
    new = {one.ecu.serial: Held(one.image.name, one.image.release_counter) for one in assigned}
    return replace(kept, held={**kept.held, **new})


class Ledger:
    """Kept, while it changes; `kept` may be stored after every step of a refresh."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    def bytes_of(self, repository: Repository, role: str) -> bytes | None:
        """Return the bytes of a role, None when none were trusted yet."""
        return self.kept.roles.get((repository, role))

    def keep(self, repository: Repository, role: str, content: bytes) -> None:
        """Keep the bytes of a role that holds."""
        if self.bytes_of(repository, role) != content:
            roles = {**self.kept.roles, (repository, role): content}
            self.kept = replace(self.kept, roles=roles)

    def keep_only(self, repository: Repository, roles: set[str]) -> None:
        """Forget all other roles of a repository."""
        left = {
            key: content
            for key, content in self.kept.roles.items()
            if key[0] is not repository or key[1] in roles
        }
        if len(left) != len(self.kept.roles):
            self.kept = replace(self.kept, roles=left)

    def keep_time(self, time_ns: int) -> None:
        """Keep a time that signed metadata confirmed."""
        if time_ns > self.kept.time_ns:
            self.kept = replace(self.kept, time_ns=time_ns)


class Moment:
    """The time that a refresh goes by: it never falls.

    Rule: the clock's word counts when it is later than what is kept.  A time is kept only once everything was
    valid at it, so one that is far ahead makes metadata expire, refuses, and is forgotten: it locks nobody out.
    """

    def __init__(self, now_ns: int | None, kept: Kept) -> None:
        is_set = (now_ns or 0) >= CLOCKS_START_NS
        self.time_ns = max(kept.time_ns, (now_ns or 0) if is_set else 0)

    @property
    def is_known(self) -> bool:
        """Whether there is any time to go by."""
        return self.time_ns > 0

    def at_least(self, time_ns: int) -> None:
        """Take note of a signed time."""
        self.time_ns = max(self.time_ns, time_ns)


def refused(attack: Attack, where: str, sentence: str) -> Tampered:
    """Return the error that ends a refresh with a refusal."""
    return Tampered(Refusal(attack, where, sentence))


def refusal_of(error: Tampered) -> Refusal:
    """Return the refusal that an error of `refused` stands for."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, Refusal) else Refusal(Attack.MALFORMED, "", str(error))
