"""What people and machines may do: roles, the permissions they hold, and nothing else.

Rule 1: a role may do what stands in PERMISSIONS and nothing else; what no role holds, nobody may.
Rule 2: a permission of PLATFORM_WIDE is about all tenants at once, so only a grant over all of them gives it.
Rule 3: whoever may run commands in vehicles was named for that alone, by somebody at the machine of the cloud.
"""

from enum import StrEnum


class Role(StrEnum):
    """What somebody is to a fleet."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    FLEET_MANAGER = "fleet-manager"
    RELEASE_AUTHOR = "release-author"
    RELEASE_APPROVER = "release-approver"
    PRIVACY_OFFICER = "privacy-officer"
    ADMIN = "admin"
    # Runs commands inside services of vehicles.  No other role may, and none can hand it on: see Rule 3.
    SERVICE_EXECUTOR = "service-executor"


class Permission(StrEnum):
    """What a route needs."""

    SELF_READ = "self:read"  # who one is, and what one may do
    VEHICLES_READ = "vehicles:read"
    VEHICLES_WRITE = "vehicles:write"  # what is known of them: attributes, fleets
    MODELS_READ = "models:read"  # what kinds of vehicles can tell, and how it is decoded
    MODELS_WRITE = "models:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    CAMPAIGNS_APPROVE = "campaigns:approve"
    SERVICES_READ = "services:read"  # what vehicles are to run and do run, its logs too
    SERVICES_WRITE = "services:write"
    SERVICES_APPROVE = "services:approve"
    SERVICES_EXECUTE = "services:execute"  # commands inside services
    RELEASES_READ = "releases:read"  # which software there is to roll out
    RELEASES_WRITE = "releases:write"
    ROLLOUTS_READ = "rollouts:read"  # which software goes to which vehicles, and what became of it
    ROLLOUTS_WRITE = "rollouts:write"
    ROLLOUTS_APPROVE = "rollouts:approve"
    UPDATES_RECORDS = "updates:records"  # the signed records of what every vehicle was given
    TELEMETRY_READ = (
        "telemetry:read"  # values, series, the live feed: where people are, and how they drive
    )
    QUARANTINE_READ = "quarantine:read"
    INGEST_READ = "ingest:read"
    METRICS_READ = "metrics:read"
    AUDIT_READ = "audit:read"  # who did what
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"


_P = Permission
_SEES = frozenset({_P.SELF_READ, _P.VEHICLES_READ, _P.MODELS_READ})
_OPERATES = _SEES | {
    _P.TELEMETRY_READ,
    _P.QUARANTINE_READ,
    _P.INGEST_READ,
    _P.METRICS_READ,
    _P.CAMPAIGNS_READ,
    _P.CAMPAIGNS_WRITE,
    _P.SERVICES_READ,
    _P.SERVICES_WRITE,
    _P.RELEASES_READ,
    _P.ROLLOUTS_READ,
    _P.ROLLOUTS_WRITE,
}
_SEES_UPDATES = frozenset({_P.RELEASES_READ, _P.ROLLOUTS_READ})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _SEES | _SEES_UPDATES | {_P.TELEMETRY_READ, _P.CAMPAIGNS_READ, _P.SERVICES_READ},
    Role.OPERATOR: _OPERATES,
    # Who answers for a fleet decides what is collected from it, and what belongs to it.
    Role.FLEET_MANAGER: _OPERATES
    | {_P.CAMPAIGNS_APPROVE, _P.SERVICES_APPROVE, _P.VEHICLES_WRITE, _P.MODELS_WRITE}
    | {_P.ROLLOUTS_APPROVE, _P.UPDATES_RECORDS},
    # Software is made for kinds of vehicles, not for what their drivers did.
    Role.RELEASE_AUTHOR: _SEES
    | _SEES_UPDATES
    | {_P.SERVICES_READ, _P.SERVICES_WRITE, _P.RELEASES_WRITE, _P.ROLLOUTS_WRITE},
    Role.RELEASE_APPROVER: _SEES
    | _SEES_UPDATES
    | {_P.SERVICES_READ, _P.SERVICES_APPROVE, _P.ROLLOUTS_APPROVE, _P.UPDATES_RECORDS},
    # Watches over data, and so holds none: sees what is collected, not what came of it.
    Role.PRIVACY_OFFICER: _SEES
    | _SEES_UPDATES
    | {_P.AUDIT_READ, _P.CAMPAIGNS_READ, _P.SERVICES_READ, _P.UPDATES_RECORDS},
    Role.ADMIN: frozenset(Permission) - {_P.SERVICES_EXECUTE},
    Role.SERVICE_EXECUTOR: frozenset(
        {_P.SELF_READ, _P.VEHICLES_READ, _P.SERVICES_READ, _P.SERVICES_EXECUTE}
    ),
}

PLATFORM_WIDE = frozenset({_P.INGEST_READ, _P.METRICS_READ})
