"""hawkBit's settings of a tenant: GET, PUT and DELETE /rest/v1/system/configs/{key}.

Rule 1: a token that is set is kept as its hash; it is shown again only where the operator wants that.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.hawkbit.admission import token_hash
from fleet_cloud.api.compat.hawkbit.callers import Management
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.ports import Document, Kind
from fleet_cloud.rollouts.foreign.settings import SETTINGS, Setting, checked

Body = Annotated[Any, Depends(body_of)]


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/rest/v1/system/configs")
    door = Management(ports)

    @routes.get("")
    def listed(request: Request) -> Response:
        manager = door.enter(request, Permission.KEYS_READ)
        return answered(request, {key: _shown(ports, manager.tenant, key) for key in SETTINGS})

    @routes.get("/{key}")
    def shown(request: Request, key: str) -> Response:
        manager = door.enter(request, Permission.KEYS_READ)
        _setting(key)
        return answered(request, _shown(ports, manager.tenant, key))

    @routes.put("/{key}")
    def change(request: Request, key: str, body: Body) -> Response:
        manager = door.enter(request, Permission.KEYS_WRITE)
        setting = _setting(key)
        value = checked(key, object_of(body).get("value"))
        said = {} if setting.is_secret else {"value": str(value)}
        door.note(manager, "hawkbit.configure", f"setting:{key}", **said)
        _put(ports, manager.tenant, key, _kept(ports, value) if setting.is_secret else value)
        return answered(request, _shown(ports, manager.tenant, key))

    @routes.delete("/{key}")
    def reset(request: Request, key: str) -> Response:
        manager = door.enter(request, Permission.KEYS_WRITE)
        _setting(key)
        door.note(manager, "hawkbit.configure", f"setting:{key}", value="default")
        ports.documents.drop(manager.tenant, Kind.SETTING, key)
        return Response(status_code=204)

    return routes


def _setting(key: str) -> Setting:
    found = SETTINGS.get(key)
    if found is None:
        raise NotFound(f"there is no setting {key[:80]!r} here")
    return found


def _put(ports: HawkbitPorts, tenant: str, key: str, content: Any) -> None:
    while True:
        kept = ports.documents.document(tenant, Kind.SETTING, key)
        fresh = Document(Kind.SETTING, key, content, kept.revision if kept else 0)
        if ports.documents.put(tenant, fresh):
            return


def _kept(ports: HawkbitPorts, token: str) -> dict[str, str]:
    sealed = ports.sealer.seal(token) if ports.sealer is not None else ""
    return {"sha256": token_hash(token), "sealed": sealed}


def _shown(ports: HawkbitPorts, tenant: str, key: str) -> dict[str, Any]:
    value = ports.setting(tenant, key)
    default = SETTINGS[key].default
    is_global = value == default
    if SETTINGS[key].is_secret and value:
        opened = ports.sealer.opened(value["sealed"]) if ports.sealer is not None else None
        # Set, and not to be seen: hawkBit's users know a row of stars.
        value = "*****" if opened is None else opened
    return {"value": value, "global": is_global}
