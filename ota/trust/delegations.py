"""Which role speaks for a target: a search in depth, before its siblings, in the order of TUF 1.0.34, 5.6.7.

Rule 1: a role is trusted as its delegator on the way here trusts it, whoever else has delegated to it before.
Rule 2: a role is visited once in a search; a terminating delegation (and a hash bin) ends it with itself.
Rule 3: a search visits at most 32 roles, a refresh 512: metadata that makes a vehicle work for ever is refused.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from ota.trust.kept import refused
from ota.trust.model import Attack, Wanted
from ota.trust.top_level import Sight, TopLevel, targets_of
from ota.tuf_library import Root, TargetFile, Targets

VISITED_MAX = 32
LOADED_MAX = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A target, and the role that speaks for it."""

    target: TargetFile
    role: str
    targets: Targets


@dataclass(slots=True)
class Search:
    """Searches in one repository whose top-level roles are up to date."""

    sight: Sight
    top: TopLevel
    # Verified already: by who delegated (that very file, which stays alive here) and the role's name.
    _loaded: dict[tuple[int, str], Targets] = field(default_factory=dict)

    def find(self, path: str) -> Generator[Wanted, bytes | None, Found | None]:
        """Return the target of that path, None when nobody has it.  Raises Tampered."""
        waiting: list[tuple[str, str]] = [("root", "targets")]
        visited = dict[str, Targets]()
        while waiting:
            delegator, role = waiting.pop()
            if role in visited:
                continue
            if len(visited) > VISITED_MAX:
                raise refused(
                    Attack.ENDLESS_DATA,
                    self.sight.at(path),
                    f"more than {VISITED_MAX} roles would have to be searched for it",
                )
            targets = yield from self._load(delegator, role, visited)
            target = targets.targets.get(path)
            if target is not None:
                return Found(target, role, targets)
            visited[role] = targets
            children = _children(targets, role, path)
            if children is None:
                continue
            below, ends = children
            waiting = ([] if ends else waiting) + below[::-1]
        return None

    def _load(
        self, delegator: str, role: str, visited: dict[str, Targets]
    ) -> Generator[Wanted, bytes | None, Targets]:
        if role == "targets":
            return self.top.targets
        parent: Root | Targets = visited[delegator]
        known = self._loaded.get((id(parent), role))
        if known is not None:
            return known
        if len(self._loaded) >= LOADED_MAX:
            raise refused(
                Attack.ENDLESS_DATA, self.sight.at(role), f"more than {LOADED_MAX} roles are needed"
            )
        top = self.top
        targets = yield from targets_of(self.sight, top.root, top.snapshot, parent, role)
        self._loaded[id(parent), role] = targets
        return targets


def _children(targets: Targets, role: str, path: str) -> tuple[list[tuple[str, str]], bool] | None:
    """Return whom a role delegates a path to, in order, and whether nobody else may be asked."""
    if targets.delegations is None:
        return None
    below = list[tuple[str, str]]()
    for child, is_terminating in targets.delegations.get_roles_for_target(path):
        below.append((role, child))
        if is_terminating:
            return below, True
    return below, False
