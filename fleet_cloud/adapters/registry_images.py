"""Images of tenants, and whose artifacts are kept, in SQL."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import LargeBinary, Row, String, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_service_tables import artifacts, images
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.artifacts.tidying import Holding
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.services.ports import KeptImage

# Tables whose texts may name artifacts: metadata of releases, rollouts, services and their images, and what
# clients of foreign protocols were given.
NAMING_TABLES = ("repository_files", "rollouts", "services", "images", "foreign_documents")


class SqlHoldings:
    """Knows whose artifacts are kept."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def hold(self, tenant: str, digest: str, size_bytes: int, now_ns: int) -> None:
        values = registry_scope.row(
            Scope(self._region, tenant), digest=digest, size_bytes=size_bytes, kept_time_ns=now_ns
        )
        with self._database.writing() as connection:
            connection.execute(
                self._insert(artifacts)
                .values(values)
                .on_conflict_do_nothing(index_elements=["region", "tenant", "digest"])
            )

    def held(self, tenant: str, digest: str) -> int | None:
        wanted = registry_scope.chosen(
            artifacts, Scope(self._region, tenant), artifacts.c.digest == digest
        ).with_only_columns(artifacts.c.size_bytes)
        with self._database.reading() as connection:
            found = connection.execute(wanted).scalar()
        return None if found is None else int(found)

    def holdings(self, tenant: str) -> list[Holding]:
        """Return what a tenant has, in order of digest.  Raises Unavailable."""
        wanted = registry_scope.chosen(artifacts, Scope(self._region, tenant)).order_by(
            artifacts.c.digest
        )
        with self._database.reading() as connection:
            return [
                Holding(found.digest, found.size_bytes, found.kept_time_ns)
                for found in connection.execute(wanted)
            ]

    def let_go(self, tenant: str, digest: str) -> None:
        """Note that a tenant has an artifact no more.  Raises Unavailable."""
        gone = registry_scope.removed(
            artifacts, Scope(self._region, tenant), artifacts.c.digest == digest
        )
        with self._database.writing() as connection:
            connection.execute(gone)

    def is_held(self, digest: str) -> bool:
        """Return whether any tenant has an artifact.  Raises Unavailable."""
        wanted = registry_scope.in_region(artifacts, self._region, artifacts.c.digest == digest)
        with self._database.reading() as connection:
            return connection.execute(wanted.limit(1)).first() is not None


class SqlNaming:
    """Knows what names artifacts: everything that a tenant has written down of releases and services."""

    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region

    def texts(self, tenant: str) -> Iterator[bytes]:
        """Yield everything of a tenant that may name artifacts.  Raises Unavailable."""
        with self._database.reading() as connection:
            for name in NAMING_TABLES:
                table = artifacts.metadata.tables.get(name)
                if table is None:
                    continue
                columns = [
                    one for one in table.columns if isinstance(one.type, String | LargeBinary)
                ]
                wanted = registry_scope.chosen(table, Scope(self._region, tenant))
                for found in connection.execute(wanted.with_only_columns(*columns)):
                    yield b"\0".join(_bytes(value) for value in found if value is not None)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


class SqlImages:
    """Knows the images of tenants."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def add_image(self, image: KeptImage) -> None:
        values = {
            "parts": json.dumps(image.parts),
            "size_bytes": image.size_bytes,
            "platform": image.platform,
            "name": image.name,
            "pushed_by": image.pushed_by,
            "pushed_time_ns": image.pushed_time_ns,
        }
        of_it = registry_scope.row(Scope(self._region, image.tenant), digest=image.digest, **values)
        with self._database.writing() as connection:
            connection.execute(
                self._insert(images)
                .values(of_it)
                .on_conflict_do_update(index_elements=["region", "tenant", "digest"], set_=values)
            )

    def image(self, tenant: str, digest: str) -> KeptImage | None:
        wanted = registry_scope.chosen(
            images, Scope(self._region, tenant), images.c.digest == digest
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return None if found is None else _image(found)

    def images(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[KeptImage]:
        wanted = registry_scope.in_region(images, self._region)
        if tenants is not None:
            wanted = wanted.where(images.c.tenant.in_(sorted(tenants)))
        if after:
            tenant, _, digest = after.partition("/")
            wanted = wanted.where(tuple_(images.c.tenant, images.c.digest) > (tenant, digest))
        ordered = wanted.order_by(images.c.tenant, images.c.digest).limit(min(limit, PAGE_MAX))
        with self._database.reading() as connection:
            return [_image(one) for one in connection.execute(ordered)]


def _image(found: Row[Any]) -> KeptImage:
    return KeptImage(
        found.tenant,
        found.digest,
        tuple(json.loads(found.parts)),
        found.size_bytes,
        found.platform,
        found.name,
        found.pushed_by,
        found.pushed_time_ns,
    )
