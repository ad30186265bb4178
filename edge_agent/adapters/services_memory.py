"""What the supervisor needs around it, in memory: images, doors, probes and logs for tests and trials.

Rule 1: each does what its port says and keeps what it was told, so that a test can look.
"""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from edge_agent.adapters.service_door import check, environment
from edge_agent.services.instance import ImageSettings, Instance, Root
from edge_agent.services.registry import Sight, offered, sights
from fairway.errors import BadInput
from fairway.oci.model import checked_digest
from fairway.services.model import Probe


class MemoryImages:
    """Images that were put here; or, if it has all, every one that is asked for."""

    def __init__(self, *roots: Root, has_all: bool = False) -> None:
        self.roots = {root.digest: root for root in roots}
        self.has_all = has_all

    @property
    def digests(self) -> frozenset[str]:
        """What is here."""
        return frozenset(self.roots)

    def put(self, *digests: str) -> None:
        """Take in images of which nothing but the digest matters."""
        for digest in digests:
            self.roots[digest] = Root(digest, (Path("/"),), ImageSettings(argv=("/app",)))

    async def root(self, digest: str) -> Root:
        await asyncio.sleep(0)
        if checked_digest(digest) not in self.roots:
            if not self.has_all:
                raise BadInput(f"the image {digest} is not in this vehicle: load it first")
            self.put(digest)
        return self.roots[digest]

    async def collect(self, keep: frozenset[str]) -> int:
        gone = self.roots.keys() - keep
        self.roots = {digest: root for digest, root in self.roots.items() if digest in keep}
        return len(gone)


class MemoryDoors:
    """Doors that nothing stands behind: what was opened, who is in force, and what each would see."""

    def __init__(self) -> None:
        self.opened: dict[str, Instance] = {}
        self.active: dict[str, Instance] = {}
        self.starts: list[str] = []  # ids, in order

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        await asyncio.sleep(0)
        check(instance)
        self.opened[instance.id] = instance
        return environment(instance)

    async def started(self, id_: str) -> None:
        self.starts.append(id_)

    async def serve(self, active: Mapping[str, Instance]) -> None:
        self.active = dict(active)

    async def close(self, id_: str) -> None:
        self.opened.pop(id_, None)
        self.active = {name: one for name, one in self.active.items() if one.id != id_}

    def sights_of(self, id_: str) -> tuple[Sight, ...]:
        """Return what an instance with an open door sees."""
        return sights(self.opened[id_].service, offered(self.active), id_)


class MemoryProber:
    """Answers as it was told, by service, or "name 1.2.0"; those of whom nothing was said pass."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self.answers = dict(answers or {})

    async def probe(self, instance: Instance, probe: Probe, *, timeout_s: float) -> str:
        del probe, timeout_s  # it answers at once, whatever is asked
        await asyncio.sleep(0)
        service = instance.service
        return self.answers.get(
            f"{service.name} {service.version}", self.answers.get(service.name, "")
        )


class MemoryLogs:
    """Lines by instance."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {}

    def lines(self, id_: str, last: int) -> list[str]:
        return self.said.get(id_, [])[-last:] if last > 0 else []

    def keep_only(self, services: Collection[str]) -> None:
        self.said = {id_: one for id_, one in self.said.items() if id_.split(".")[0] in services}
