"""What the supervisor needs around it, in memory: images, doors, probes and logs for tests and trials.

Rule 1: each does what its port says and keeps what it was told, so that a test can look.
"""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from edge_agent.services.instance import ImageSettings, Instance, Root
from fairway.errors import BadInput
from fairway.services.model import Probe


class MemoryImages:
    """Images that are names: all, or those that were put here."""

    def __init__(self, digests: Collection[str] | None = None) -> None:
        self.digests = None if digests is None else set(digests)
        self.unpacked: list[str] = []

    async def root(self, digest: str) -> Root:
        await asyncio.sleep(0)
        if self.digests is not None and digest not in self.digests:
            raise BadInput(f"the image {digest} is not in this vehicle")
        self.unpacked.append(digest)
        return Root(digest, (Path("/"),), ImageSettings(argv=("/app",)))

    async def collect(self, keep: frozenset[str]) -> int:
        before = self.digests or set()
        self.digests = None if self.digests is None else before & keep
        return len(before - keep)


class MemoryDoors:
    """Doors that are entries."""

    def __init__(self) -> None:
        self.opened: set[str] = set()
        self.active: dict[str, str] = {}

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        await asyncio.sleep(0)
        self.opened.add(instance.id)
        return (("FAIRWAY_SOCKETS", str(instance.sockets)),)

    async def serve(self, active: Mapping[str, Instance]) -> None:
        self.active = {name: instance.id for name, instance in active.items()}

    async def close(self, id_: str) -> None:
        self.opened.discard(id_)


class MemoryProber:
    """Answers as it was told, by service, or "name 1.2.0"; those of whom nothing was said pass."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, Probe]] = []

    async def probe(self, instance: Instance, probe: Probe, *, timeout_s: float) -> str:
        assert timeout_s > 0
        await asyncio.sleep(0)
        service = instance.service
        self.asked.append((instance.id, probe))
        return self.answers.get(
            f"{service.name} {service.version}", self.answers.get(service.name, "")
        )


class MemoryLogs:
    """Lines by instance."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {}

    def lines(self, id_: str, last: int) -> list[str]:
        return self.said.get(id_, [])[-last:] if last > 0 else []
