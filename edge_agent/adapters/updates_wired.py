"""Opens updates for app.py: where there is no [updates], their libraries stay out."""

from typing import Protocol

from edge_agent.adapters.campaigns_open import CampaignParts
from edge_agent.adapters.network import Network
from edge_agent.adapters.onboard import Opened
from edge_agent.adapters.services_wired import ServiceParts
from edge_agent.adapters.uplink_tls import Address
from edge_agent.config import Config
from edge_agent.updates.numbers import UpdateNumbers
from fairway.catalog.model import Catalog
from fairway.clock import Clock


class UpdateRunner(Protocol):
    """What the agent knows of what carries updates out."""

    async def run(self) -> None:
        """Look for updates and carry them out until cancelled."""
        ...

    def numbers(self) -> UpdateNumbers:
        """Return what there is to count."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def with_update_signals(config: Config, catalog: Catalog) -> Catalog:
    """Return the catalogue with the signals that say how an update goes."""
    if config.updates is None:
        return catalog
    from edge_agent.updates.progress_signals import leaves  # noqa: PLC0415

    new = tuple(leaf for leaf in leaves() if catalog.get(leaf.path) is None)
    return Catalog((*catalog.leaves, *new), catalog.problems)


def updates_for(
    config: Config,
    onboard: Opened | None,
    clock: Clock,
    campaigns: CampaignParts,
    target: Address | None,
    services: ServiceParts | None,
) -> UpdateRunner | None:
    """Return what the settings want, None without [updates].  Raises BadInput or Unavailable."""
    if config.updates is None or onboard is None:
        return None
    from edge_agent.adapters.updates_open import open_updates  # noqa: PLC0415

    is_ours = config.uplink is not None and config.uplink.dialect == "fairway"
    network = Network(config.network.metered, config.network.metered_file, clock)
    parts = open_updates(
        config,
        onboard.feed.data,
        clock,
        target=target if is_ours else None,
        services=services,
        is_metered=network.is_metered,
    )
    if parts.cloud is not None:
        campaigns.orders.updates = parts.cloud
    return parts
