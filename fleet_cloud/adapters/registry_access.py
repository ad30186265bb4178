"""API keys and users in SQL.

Rule 1: a key is looked up by its id among those of all tenants of the region: it says itself whose it is.  What
is changed of it is changed in its own tenant.
"""

from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import Conflict
from fairway.identity import Scope
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import ApiKey
from fleet_cloud.access.roles import Role
from fleet_cloud.access.users import User
from fleet_cloud.adapters.registry_schema import api_keys, users
from fleet_cloud.adapters.registry_scope import changed, in_region, removed, row
from fleet_cloud.adapters.registry_sql import Database


class SqlKeys:
    """Keeps keys in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def key(self, key: str) -> ApiKey | None:
        with self._database.reading() as connection:
            return self._found(connection, key)

    def used(self, key: str, now_ns: int) -> None:
        with self._database.writing() as connection:
            found = self._found(connection, key)
            if found is not None and (found.used_time_ns or 0) < now_ns:
                connection.execute(
                    changed(api_keys, self._scope(found), api_keys.c.id == key).values(
                        used_time_ns=now_ns
                    )
                )

    def add(self, key: ApiKey) -> None:
        values = row(
            self._scope(key),
            id=key.id,
            name=key.name,
            role=key.grant.role.value,
            fleet=key.grant.fleet,
            sha256=key.sha256,
            created_time_ns=key.created_time_ns,
            expires_time_ns=key.expires_time_ns,
            revoked_time_ns=key.revoked_time_ns,
            used_time_ns=key.used_time_ns,
        )
        with self._database.writing() as connection:
            adding = self._insert(api_keys).values(values).on_conflict_do_nothing()
            if connection.execute(adding.returning(api_keys.c.id)).first() is None:
                raise Conflict(f"there is a key {key.id} already")

    def listed(self) -> list[ApiKey]:
        wanted = in_region(api_keys, self._region).order_by(
            api_keys.c.created_time_ns.desc(), api_keys.c.id
        )
        with self._database.reading() as connection:
            return [_key(found) for found in connection.execute(wanted)]

    def revoke(self, key: str, now_ns: int) -> bool:
        with self._database.writing() as connection:
            found = self._found(connection, key)
            if found is None or found.revoked_time_ns is not None:
                return False
            connection.execute(
                changed(api_keys, self._scope(found), api_keys.c.id == key).values(
                    revoked_time_ns=now_ns
                )
            )
            return True

    def _found(self, connection: Connection, key: str) -> ApiKey | None:
        found = connection.execute(in_region(api_keys, self._region, api_keys.c.id == key)).first()
        return None if found is None else _key(found)

    def _scope(self, key: ApiKey) -> Scope:
        return Scope(self._region, key.grant.tenant)


class SqlUsers:
    """Keeps users in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def user(self, name: str) -> User | None:
        with self._database.reading() as connection:
            return self._found(connection, name)

    def add(self, user: User) -> None:
        values = row(
            Scope(self._region, user.grant.tenant),
            name=user.name,
            role=user.grant.role.value,
            fleet=user.grant.fleet,
            password=user.password,
            created_time_ns=user.created_time_ns,
        )
        with self._database.writing() as connection:
            adding = self._insert(users).values(values).on_conflict_do_nothing()
            if connection.execute(adding.returning(users.c.name)).first() is None:
                raise Conflict(f"there is a user {user.name} already: remove that one first")

    def users(self) -> list[User]:
        wanted = in_region(users, self._region).order_by(users.c.name)
        with self._database.reading() as connection:
            return [_user(found) for found in connection.execute(wanted)]

    def remove(self, name: str) -> bool:
        with self._database.writing() as connection:
            found = self._found(connection, name)
            if found is None:
                return False
            scope = Scope(self._region, found.grant.tenant)
            connection.execute(removed(users, scope, users.c.name == name))
            return True

    def _found(self, connection: Connection, name: str) -> User | None:
        found = connection.execute(in_region(users, self._region, users.c.name == name)).first()
        return None if found is None else _user(found)


def _key(found: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=found.id,
        name=found.name,
        grant=Grant(Role(found.role), found.tenant, found.fleet),
        sha256=found.sha256,
        created_time_ns=found.created_time_ns,
        expires_time_ns=found.expires_time_ns,
        revoked_time_ns=found.revoked_time_ns,
        used_time_ns=found.used_time_ns,
    )


def _user(found: Row[tuple[object, ...]]) -> User:
    return User(
        name=found.name,
        grant=Grant(Role(found.role), found.tenant, found.fleet),
        password=found.password,
        created_time_ns=found.created_time_ns,
    )
