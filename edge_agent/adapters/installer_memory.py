"""An installer whose ECU is an entry in memory: it does as the contract says, and fails as it is told to."""

import hashlib

from edge_agent.updates.ports import Health, Stored, Verdict
from fairway.errors import FairwayError, Unavailable
from ota.trust.model import Assigned, Ecu


class MemoryInstaller:
    """One ECU, in memory."""

    def __init__(self, image: bytes = b"") -> None:
        self.active = hashlib.sha256(image).hexdigest() if image else ""
        self.staged: dict[str, tuple[str, str]] = {}  # by token: before, after
        self.refuses: dict[str, FairwayError] = {}  # by method
        self.verdict = Verdict(Health.WELL)

    async def probe(self, ecu: Ecu) -> str:
        del ecu
        self._may("probe")
        return self.active

    async def check(self, assigned: Assigned) -> None:
        del assigned
        self._may("check")

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        del stored
        self._may("prepare")
        self.staged.setdefault(token, (self.active, assigned.image.sha256))

    async def activate(self, token: str, assigned: Assigned) -> bool:
        self._may("activate")
        if token not in self.staged:
            raise Unavailable(f"{assigned.image.name} was not prepared")
        self.active = assigned.image.sha256
        return False

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        del token
        if self.active != assigned.image.sha256:
            return Verdict(Health.ILL, "it holds something else")
        return self.verdict

    async def commit(self, token: str, assigned: Assigned) -> bool:
        self._may("commit")
        self.active = assigned.image.sha256
        self.staged.pop(token, None)
        return False

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        del assigned
        self._may("rollback")
        if token in self.staged:
            self.active, _ = self.staged[token]
            del self.staged[token]
        return False

    def _may(self, method: str) -> None:
        if method in self.refuses:
            raise self.refuses[method]
