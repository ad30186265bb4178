"""Image repositories of tenants in SQL: metadata as it was published, whatever may still be asked for of it.

Rule 1: a publication is one transaction; who was slower than another is told (Conflict), and changes nothing.
Rule 2: all roots are kept, for vehicles that were parked for years; of other roles the newest few.
Rule 3: images are read from the metadata that is there, once for each timestamp.
"""

import threading
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import BadInput, Conflict
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_repository_tables import repositories, repository_files
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.rollouts.publishing import Published, file_name, listed, verified
from ota.custom import own_blob
from ota.manifest import Image

# Whoever has just been told of one version is given it for some publications more.
VERSIONS_KEPT = 3

Held = Callable[[str, str], int | None]  # (tenant, digest) -> its size in bytes


class SqlImageRepository:
    """Keeps the Image repositories of all tenants."""

    def __init__(self, database: Database, region: str, held: Held) -> None:
        """`held` knows which bytes are here: nothing is listed without."""
        self._database, self._region, self._held = database, region, held
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._lock = threading.Lock()
        self._known: dict[str, tuple[bytes, tuple[Image, ...]]] = {}

    def file(self, tenant: str, name: str) -> bytes | None:
        with self._database.reading() as connection:
            return self._file(connection, tenant, name)

    def publish(self, tenant: str, files: dict[str, bytes], now_ns: int) -> None:
        with self._database.reading() as connection:
            before = self._version(connection, tenant)
            published = verified(lambda name: self._file(connection, tenant, name), files, now_ns)
        self._check_bytes(tenant, published)
        with self._database.writing() as connection:
            self._advance(connection, tenant, before, published.timestamp_version, now_ns)
            self._write(connection, tenant, published, now_ns)

    def images(self, tenant: str) -> tuple[Image, ...]:
        with self._database.reading() as connection:
            stamp = self._file(connection, tenant, "timestamp.json")
            if stamp is None:
                return ()
            with self._lock:
                known = self._known.get(tenant)
            if known is not None and known[0] == stamp:
                return known[1]
            found = listed(lambda name: self._file(connection, tenant, name))
        with self._lock:
            self._known[tenant] = (stamp, found)
        return found

    def tenants(self) -> list[str]:
        """Return who has published anything.  Raises Unavailable."""
        wanted = registry_scope.in_region(repositories, self._region).order_by(
            repositories.c.tenant
        )
        with self._database.reading() as connection:
            return [found.tenant for found in connection.execute(wanted)]

    def _scope(self, tenant: str) -> Scope:
        return Scope(self._region, tenant)

    def _version(self, connection: Connection, tenant: str) -> int | None:
        wanted = registry_scope.chosen(repositories, self._scope(tenant))
        found = connection.execute(wanted).first()
        return None if found is None else int(found.version)

    def _file(self, connection: Connection, tenant: str, name: str) -> bytes | None:
        try:
            said = file_name(name)
        except BadInput:
            return None
        of = repository_files.c
        wanted = registry_scope.chosen(
            repository_files, self._scope(tenant), of.role == said.role
        ).order_by(of.version.desc())
        if said.version is not None:
            if said.role == "timestamp":
                return None
            wanted = wanted.where(of.version == said.version)
        found = connection.execute(wanted.limit(1)).first()
        return None if found is None else bytes(found.content)

    def _check_bytes(self, tenant: str, published: Published) -> None:
        """Raise BadInput when an image is listed whose bytes nobody has sent."""
        known = {image.path: image for image in self.images(tenant)}
        for image in published.images:
            if known.get(image.path) == image:
                continue
            for blob in (own_blob(image), *(source.blob for source in image.sources)):
                if self._held(tenant, f"sha256:{blob.sha256}") != blob.length:
                    raise BadInput(
                        f"{image.path} needs {blob.sha256} ({blob.length} bytes), which is not kept here: put"
                        " artifacts before metadata"
                    )

    def _advance(
        self, connection: Connection, tenant: str, before: int | None, to: int, now_ns: int
    ) -> None:
        values = {"version": to, "changed_time_ns": now_ns}
        if before is None:
            row = registry_scope.row(self._scope(tenant), **values)
            made = connection.execute(
                self._insert(repositories)
                .values(row)
                .on_conflict_do_nothing(index_elements=["region", "tenant"])
                .returning(repositories.c.tenant)
            )
        else:
            made = connection.execute(
                registry_scope.changed(
                    repositories, self._scope(tenant), repositories.c.version == before
                )
                .values(**values)
                .returning(repositories.c.tenant)
            )
        if len(made.all()) != 1:
            raise Conflict("somebody else has published meanwhile: build on what is there now")

    def _write(
        self, connection: Connection, tenant: str, published: Published, now_ns: int
    ) -> None:
        of, whose = repository_files.c, self._scope(tenant)
        newest: dict[str, int] = {}
        for (role, version), content in published.files.items():
            row = registry_scope.row(
                whose, role=role, version=version, content=content, published_time_ns=now_ns
            )
            # A version that is there has the same bytes: publishing.py looked.
            connection.execute(
                self._insert(repository_files)
                .values(row)
                .on_conflict_do_nothing(index_elements=["region", "tenant", "role", "version"])
            )
            newest[role] = max(version, newest.get(role, 0))
        for role, version in newest.items():
            kept = 1 if role == "timestamp" else VERSIONS_KEPT
            if role != "root":
                connection.execute(
                    registry_scope.removed(
                        repository_files, whose, of.role == role, of.version <= version - kept
                    )
                )
