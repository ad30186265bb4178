"""What the API and the command line are given of each feature, over one registry.

registry, audit log, settings --> campaigns, services
"""

import secrets
from collections.abc import Callable

from fairway.clock import Clock
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.api.device.ports import Places
from fleet_cloud.api.ports import CampaignPorts, ServicePorts
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.audit.acts import Audit
from fleet_cloud.campaigns.service import Service
from fleet_cloud.config import Config
from fleet_cloud.control.commanding import Commanding
from fleet_cloud.services.images import Shelf
from fleet_cloud.services.ordering import Ordering


def campaign_ports(
    config: Config, registry: Registry, audit: Audit, poke: Callable[[], None]
) -> CampaignPorts:
    """Return what is given of campaigns; `poke` tells this process's doors that something changed."""
    settings = config.campaigns
    return CampaignPorts(
        service=Service(registry.plan, audit, self_approval=settings.self_approval),
        commanding=Commanding(registry.commands, audit, lambda: secrets.token_hex(16)),
        plan=registry.plan,
        said=registry.said,
        commands=registry.commands,
        progress=registry.progress,
        catalogues=KeptCatalogues(registry.dictionaries),
        poke=poke,
        price_per_mb=settings.price_per_mb,
        currency=settings.currency,
    )


def open_places(config: Config, clock: Clock) -> Places | None:
    """Return where vehicles fetch artifacts in place of here, None for here.  Raises BadInput."""
    settings = config.artifacts
    if not settings.s3 or not settings.redirect:
        return None
    from fleet_cloud.adapters import artifacts_s3 as s3  # noqa: PLC0415

    bucket = s3.bucket_of(settings.s3)
    if settings.cloudfront_key is not None:
        signer = s3.cloudfront_signer(settings.cloudfront_key_id, settings.cloudfront_key)
        base, life_s = settings.cloudfront_url, settings.url_life_s
        return s3.CloudFrontPlaces(bucket, base, signer, clock, life_s)
    return s3.S3Places(bucket, s3.s3_client(settings.s3_endpoint), settings.url_life_s)


def service_ports(
    config: Config, registry: Registry, audit: Audit, artifacts: Artifacts
) -> ServicePorts:
    """Return what is given of services."""
    settings = config.services
    return ServicePorts(
        ordering=Ordering(
            registry.services,
            audit,
            settings.needs_approval,
            self_approval=settings.self_approval,
        ),
        desired=registry.services,
        statuses=registry.service_statuses,
        shelf=Shelf(artifacts, registry.holdings, registry.images, audit),
    )
