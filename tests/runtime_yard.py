"""A place where agents run instances one after the other: what the contract of runtimes needs beside them."""

from abc import ABC, abstractmethod
from pathlib import Path

from edge_agent.adapters.runtime_engine import EngineRuntime
from edge_agent.adapters.runtime_process import ProcessRuntime
from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.instance import Instance
from fairway.clock import SystemClock
from fairway.services.model import Service


class RuntimeYard(ABC):
    """Folders of a vehicle, and the agent that runs there now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: dict[str, int] = {}
        self.logs = LogBook(folder / "logs", SystemClock())
        self.runtime: EngineRuntime | ProcessRuntime | None = None

    @abstractmethod
    async def opened(self) -> EngineRuntime | ProcessRuntime:
        """Return the runtime of a new agent."""

    @abstractmethod
    def script(self, name: str, script: str, **service: object) -> Instance:
        """Return an instance of a new version of a service that runs a script."""

    async def agent(self) -> EngineRuntime | ProcessRuntime:
        """Return the runtime of the next agent; the one before is gone."""
        await self.close()
        self.logs = LogBook(self.folder / "logs", SystemClock())
        self.runtime = await self.opened()
        return self.runtime

    async def close(self) -> None:
        """End the agent; what runs goes on."""
        if self.runtime is not None:
            await self.runtime.close()
        self.runtime = None
        self.logs.stop()

    async def clean(self) -> None:
        """End what runs."""
        runtime = await self.agent()
        for id_ in await runtime.instances():
            await runtime.stop(id_, signal="KILL", grace_s=0)
        await self.close()

    def numbered(self, name: str, service: Service) -> tuple[str, Path]:
        """Return the id of a new instance, and its socket folder."""
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        id_ = f"{service.name}.{number:012x}"
        sockets = self.folder / "sockets" / id_
        sockets.mkdir(parents=True, exist_ok=True)
        return id_, sockets
