"""The page on FleetWise's control plane names every operation with its permission, and what is refused."""

import re

from fleet_cloud.access.roles import PERMISSIONS, Permission, Role
from fleet_cloud.api.compat.fleetwise_operations import OPERATIONS
from fleet_cloud.api.compat.fleetwise_operations import PERMISSIONS as NEEDED
from tests.docs.pages import DOCS, shown_only
from tests.fleet_cloud.api.compat.small import REFUSED

PAGE = (DOCS / "reference" / "fleetwise-api.md").read_text(encoding="utf-8")


def test_the_page_names_every_operation_with_what_it_needs():
    told = dict(re.findall(r"^\| `([A-Z]\w+)` \| `([a-z:]+)` \|", PAGE, re.MULTILINE))

    assert told == {name: operation.permission for name, operation in OPERATIONS.items()}


def test_the_page_says_which_are_refused():
    told = re.findall(r"^\| `([A-Z]\w+)` \| `[a-z:]+` \| \*\*refused\*\*: \w", PAGE, re.MULTILINE)

    assert set(told) == set(REFUSED)


def test_the_page_says_who_holds_each_permission():
    told = {
        permission: set(Role) if who == "every role" else set(re.findall(r"`([a-z-]+)`", who))
        for permission, who in re.findall(
            r"^\| `([a-z]+:[a-z]+)` \| ([^|]+) \|", PAGE, re.MULTILINE
        )
    }

    assert told == {
        permission: {role for role in Role if permission in PERMISSIONS[role]}
        for permission in NEEDED
    }
    assert all(Permission(permission) for permission in told)


def test_two_blocks_of_the_page_need_an_aws_client_and_a_served_cloud():
    assert shown_only("reference/fleetwise-api.md") == 2
