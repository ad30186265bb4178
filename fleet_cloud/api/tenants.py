"""Whose things are meant where names are a tenant's own."""

from typing import Annotated

from fastapi import Query

from fairway.identity import DEFAULT_TENANT
from fleet_cloud.api.visible import Caller

TenantName = Annotated[
    str,
    Query(
        description="Whose it is; yours, where you have to do with one tenant only, else `default`.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$",
    ),
]


def tenant_meant(caller: Caller, tenant: str) -> str:
    """Return the tenant that is meant."""
    if tenant:
        return tenant
    tenants = caller.tenants
    return next(iter(tenants)) if tenants is not None and len(tenants) == 1 else DEFAULT_TENANT
