"""What containers of a yard have left behind, and how they ended."""

from edge_agent.adapters import cgroups
from edge_agent.adapters.overlay import mounted
from edge_agent.adapters.runtime_oci import OciRuntime
from edge_agent.services.runtime import Exit
from tests.waiting import until
from tests.yards import Yard


def left(yard: Yard) -> dict[str, list[str]]:
    """Return everything that there is of containers of a yard, beside folders of data and logs."""
    groups = cgroups.look()
    parent = next(iter(cgroups.children(groups, yard.group)), "")
    return {
        "bundles": sorted(path.name for path in (yard.folder / "oci" / "bundles").iterdir()),
        "state": sorted(path.name for path in (yard.folder / "oci" / "state").iterdir()),
        "groups": sorted(cgroups.children(groups, f"{yard.group}/{parent}")) if parent else [],
        "mounts": [str(point) for point in mounted() if point.is_relative_to(yard.folder)],
    }


NOTHING: dict[str, list[str]] = {"bundles": [], "state": [], "groups": [], "mounts": []}


async def exit_of(runtime: OciRuntime, id_: str) -> Exit:
    async def ended() -> Exit | None:
        return (await runtime.instances())[id_].exit

    return await until(ended)
