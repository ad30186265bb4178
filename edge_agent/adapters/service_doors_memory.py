"""Doors that nothing stands behind: what was opened, who is in force, and what each would see."""

from collections.abc import Mapping

from edge_agent.adapters.service_door import check, environment
from edge_agent.services.instance import Instance
from edge_agent.services.registry import Sight, offered, sights


class MemoryDoors:
    """Keeps in mind what a supervisor did with doors."""

    def __init__(self) -> None:
        self.opened: dict[str, Instance] = {}
        self.active: dict[str, Instance] = {}

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        check(instance)
        self.opened[instance.id] = instance
        return environment(instance)

    async def serve(self, active: Mapping[str, Instance]) -> None:
        self.active = dict(active)

    async def close(self, id_: str) -> None:
        self.opened.pop(id_, None)
        self.active = {name: one for name, one in self.active.items() if one.id != id_}

    def sights_of(self, id_: str) -> tuple[Sight, ...]:
        """Return what an instance with an open door sees."""
        return sights(self.opened[id_].service, offered(self.active), id_)
