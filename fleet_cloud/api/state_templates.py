"""/v1/state-templates: signals whose last known values are wanted."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from fairway.control import StateTemplate
from fairway.errors import BadInput
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaigns import ACTS, Read, Write
from fleet_cloud.api.commands import TemplateName
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.audit.acts import Act

# What a vehicle takes: fairway.wire.control.
TEMPLATES_MAX = 256

_Telemetry = Annotated[Caller, needs(Permission.TELEMETRY_READ)]
_See = Annotated[Caller, needs(Permission.VEHICLES_READ)]
_Know = Annotated[Caller, needs(Permission.VEHICLES_WRITE)]
_READS = responses(400, 401, 403, 404, 429, 503)


@dataclass(frozen=True, slots=True)
class TemplateWish:
    """Signals whose last known values are wanted: on change (period_ms 0), or every so often."""

    signals: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=512)]],
        Field(min_length=1, max_length=1000),
    ]
    period_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0


@dataclass(frozen=True, slots=True)
class TemplateView:
    """One state template."""

    name: str
    signals: list[str]
    period_ms: int


@dataclass(frozen=True, slots=True)
class TemplateList:
    """All state templates of a tenant, in order of name."""

    templates: list[TemplateView]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of state templates."""
    routes = APIRouter(prefix="/v1", tags=["state templates"])
    plan = ports.campaigns.plan

    def audited(action: str, caller: Caller, about: str, tenant: str) -> None:
        ports.audit.write(Act(action, caller.principal.actor, about, tenant))

    @routes.get("/state-templates", responses=responses(400, 401, 403, 404, 429, 503))
    def list_templates(caller: Read, tenant: TenantName = "") -> TemplateList:
        """List the state templates of a tenant."""
        of = _whole_tenant(caller, tenant)
        return TemplateList([_template(one) for one in plan.templates(of)])

    @routes.get("/state-templates/{template}", responses=_READS)
    def show_template(
        caller: Read, template: TemplateName, tenant: TenantName = ""
    ) -> TemplateView:
        """Show a state template."""
        of = _whole_tenant(caller, tenant)
        for one in plan.templates(of):
            if one.name == template:
                return _template(one)
        raise _no_template(template)

    @routes.put("/state-templates/{template}", responses=ACTS)
    def put_template(
        caller: Write, template: TemplateName, wish: TemplateWish, tenant: TenantName = ""
    ) -> TemplateView:
        """Make a state template, or replace it; every vehicle of the tenant is told."""
        of = _whole_tenant(caller, tenant)
        if len(plan.templates(of)) >= TEMPLATES_MAX:
            raise BadInput(
                f"a tenant has at most {TEMPLATES_MAX} state templates: delete one first"
            )
        audited("state-template.put", caller, f"state-template:{template}", of)
        signals = tuple(dict.fromkeys(wish.signals))
        plan.put_template(of, StateTemplate(template, signals, wish.period_ms))
        ports.campaigns.poke()
        return TemplateView(template, list(signals), wish.period_ms)

    @routes.delete(
        "/state-templates/{template}", status_code=204, response_class=Response, responses=ACTS
    )
    def delete_template(caller: Write, template: TemplateName, tenant: TenantName = "") -> None:
        """Forget a state template; vehicles report it no longer."""
        of = _whole_tenant(caller, tenant)
        if all(one.name != template for one in plan.templates(of)):
            raise _no_template(template)
        audited("state-template.delete", caller, f"state-template:{template}", of)
        plan.delete_template(of, template)
        ports.campaigns.poke()

    return routes


def _whole_tenant(caller: Caller, tenant: str) -> str:
    """Return the tenant that is meant, when nothing of it is hidden from the caller.  Raises NotFound."""
    of = tenant_meant(caller, tenant)
    if not may(caller.principal, caller.permission, of):
        raise NotFound(f"no state templates of {of} are there")
    return of


def _no_template(name: str) -> NotFound:
    return NotFound(f"no state template is called {name}: see /v1/state-templates")


def _template(one: StateTemplate) -> TemplateView:
    return TemplateView(one.name, list(one.signals), one.period_ms)
