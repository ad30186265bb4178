"""Opens services for app.py: where there is no [services], their libraries stay out."""

from typing import Any, Protocol

from edge_agent.adapters.campaigns_open import CampaignParts
from edge_agent.adapters.onboard import Opened
from edge_agent.adapters.uplink_tls import Address
from edge_agent.config import Config
from fairway.catalog.model import Catalog
from fairway.clock import Clock


class ServiceParts(Protocol):
    """What the agent knows of what runs services."""

    supervisor: Any

    async def run(self) -> None:
        """Run services until cancelled; they run on."""
        ...

    async def until_running(self, timeout_s: float) -> None:
        """Return when all services that are to run do, or so much later at most."""
        ...

    async def close(self) -> None:
        """Let go; services run on."""
        ...


def with_their_signals(config: Config, catalog: Catalog) -> Catalog:
    """Return the catalogue with the signals of the services that are declared.  Raises BadInput."""
    if config.services is None:
        return catalog
    from edge_agent.adapters.services_open import known_names  # noqa: PLC0415
    from edge_agent.services.usage_signals import leaves  # noqa: PLC0415

    more = leaves(known_names(config.services, config.spool.dir))
    new = tuple(leaf for leaf in more if catalog.get(leaf.path) is None)
    return Catalog((*catalog.leaves, *new), catalog.problems)


async def services_for(
    config: Config,
    onboard: Opened | None,
    clock: Clock,
    campaigns: CampaignParts,
    target: Address | None = None,
) -> ServiceParts | None:
    """Return what the settings want, None without [services]; `target` is where our cloud is, if there is one.

    Raises BadInput or Unavailable.
    """
    if config.services is None or onboard is None:
        return None
    from edge_agent.adapters.services_open import open_services  # noqa: PLC0415

    is_connected = campaigns.is_connected if config.uplink is not None else lambda: True
    parts = await open_services(
        config.services,
        config.spool.dir,
        onboard.feed.data,
        onboard.serving,
        clock,
        is_connected=is_connected,
    )
    if target is None or config.uplink is None or config.uplink.dialect != "fairway":
        return parts
    from edge_agent.adapters.services_cloud import connected  # noqa: PLC0415

    with_cloud: ServiceParts = connected(parts, config, target, clock, campaigns)
    return with_cloud
