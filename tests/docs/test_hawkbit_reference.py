"""The reference of hawkBit's API names every route and every setting, and no other."""

import re
from pathlib import Path

from fastapi.routing import iter_route_contexts

from fleet_cloud.access.roles import Permission
from fleet_cloud.rollouts.foreign.settings import SETTINGS
from tests.foreign_site import ForeignSite

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hawkbit-api.md").read_text()
DDI = "/{tenant}/controller/v1/{controller}"
REST = "/rest/v1"


def routes() -> set[tuple[str, str]]:
    return {
        (method, path)
        for route in iter_route_contexts(ForeignSite().app.routes)
        if (path := str(route.path)).startswith((DDI, REST))
        for method in route.methods or ()
    }


def told() -> set[tuple[str, str]]:
    devices, management = PAGE.split("## Management")
    found = set()
    for part, prefix in ((devices, DDI), (management, REST)):
        for methods, path in re.findall(r"^\| ([A-Z, ]+) \| `(/[^`]*)` \|", part, re.MULTILINE):
            whole = prefix + path.removesuffix("/")
            found |= {(method, whole) for method in methods.split(", ")}
    return found


def test_every_route_is_told_and_no_other():
    assert told() == routes()


def test_every_setting_is_told_and_no_other():
    keys = re.findall(
        r"^\| `([a-zA-Z]+[a-zA-Z.]*)` \|", PAGE.split("## Management")[1], re.MULTILINE
    )

    assert set(keys) == set(SETTINGS)


def test_permissions_are_spelt_as_they_are():
    named = set(re.findall(r"`([a-z]+:[a-z]+)`", PAGE))

    assert named <= {permission.value for permission in Permission}
