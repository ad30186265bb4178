"""Puts together what answers vehicles: the desk over the registry, and what goes by schedule."""

from collections.abc import Callable

from fairway.clock import Clock
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.conversation import Conversation
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.audit.acts import Audit
from fleet_cloud.campaigns.desk import Desk, Stores
from fleet_cloud.campaigns.service import Service
from fleet_cloud.campaigns.staging import Staging
from fleet_cloud.campaigns.tidying import Tidying
from fleet_cloud.rollouts.notices import NoticeDesk
from fleet_cloud.services.desk import ServiceDesk, ServiceStores


def make_control(  # noqa: PLR0913, PLR0917 - all that answers stand on
    registry: Registry,
    fleet: Fleet,
    audit: Audit,
    clock: Clock,
    failed: Callable[[BaseException], None],
    artifacts_url: Callable[[], str] = lambda: "",
    notices: NoticeDesk | None = None,
) -> Control:
    """Return a control thread that is not started; `failed` is told of an error nobody understood.

    `artifacts_url` says where vehicles fetch what they are to run; `notices` tells them of updates.
    """
    stores = Stores(
        following=registry.plan,
        lists=registry.lists,
        check_ins=registry.said,
        twins=registry.said,
        commands=registry.commands,
        catalogues=KeptCatalogues(registry.dictionaries),
    )
    desk = Desk(stores, lambda: fleet.tenants)
    service_stores = ServiceStores(
        registry.services, registry.lists, registry.service_statuses, registry.commands, audit
    )
    services = ServiceDesk(service_stores, desk.fleets, artifacts_url)
    conversation = Conversation(desk, services, notices)
    staging = Staging(desk.plan, registry.said, Service(registry.plan, audit))
    tidying = Tidying(desk.plan, registry.progress, registry.commands)

    def tick(now_ns: int) -> None:
        staging.tick(now_ns)
        tidying.tick(now_ns)

    return Control(
        desk=conversation, tenants=lambda: fleet.tenants, tick=tick, clock=clock, failed=failed
    )
