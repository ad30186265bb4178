"""The registry in a SQL database: SQLite by default, PostgreSQL where several machines share it.

Rule 1: opening migrates to the newest schema, one process at a time.
Rule 2: SQLite runs in WAL mode with synchronous=FULL: a claim, a dictionary and a vehicle must survive a power
cut.  A settle need not (the store's word resolves it), but shares a commit's cost with a group of 100,000
samples, where one fsync does not show.
Rule 3: a write takes SQLite's lock when it begins (BEGIN IMMEDIATE): it waits instead of failing half way.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Pool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import DEFAULT_REGION
from fleet_cloud.adapters.addresses import without_password
from fleet_cloud.adapters.registry_schema import NEWEST

# How long a SQLite writer waits for another process (a `vehicle add`, a backup) before it says so.
SQLITE_BUSY_S = 10.0

# Two machines that start together migrate one after the other: any number they agree on will do.
POSTGRESQL_MIGRATION_LOCK = 0x66616972

# A server that is cut off must not hold ingest up for longer than a claim is good for; a URL may say otherwise.
_POSTGRESQL: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": "-c statement_timeout=20s",
}

# A key set of one statement: far below SQLite's 32,766 and PostgreSQL's 65,535 variables.
KEYS_PER_STATEMENT = 1000


class Database:
    """An open registry database, migrated to the newest schema."""

    def __init__(self, url: str, region: str = DEFAULT_REGION) -> None:
        """Open `url`; rows of before there were regions become those of `region`."""
        self._region = region
        self._engine = _engine(url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        try:
            with foreign_errors():
                self._migrate()
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.  Raises Unavailable."""
        with foreign_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends.  Raises Unavailable."""
        with foreign_errors(), self._engine.connect() as connection:
            writer = connection.execution_options(fairway_writes=True)
            with writer.begin():
                yield writer

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            if _revision(connection) == NEWEST:
                return
        # Loaded for this alone: most starts find nothing to migrate.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", "fleet_cloud:migrations")
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(
                    text("SET LOCAL statement_timeout = 0")
                )  # it takes what it takes
                connection.execute(
                    text(f"SELECT pg_advisory_xact_lock({POSTGRESQL_MIGRATION_LOCK})")
                )
            config.attributes["connection"] = connection
            config.attributes["region"] = self._region
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                found = _revision(connection)
                raise Conflict(
                    f"the registry is at version {found}, and this program knows {NEWEST} at most: install the"
                    " newer fleet-cloud that made it"
                ) from error


def _revision(connection: Connection) -> str | None:
    """Return which migration the database is at: Alembic's own table says it."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and the drivers raise into Unavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise Unavailable(f"the registry cannot be used now: {cause}") from error


def many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run a statement that returns nothing once for each of `rows`; return how many rows it changed.

    The values go to the driver as they are: texts, whole numbers and the like.  SQLAlchemy's own way looks at
    each value of each row, which costs more than what the database does with it.
    """
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    fixed, names = compiled.params, compiled.positiontup
    values: list[Any] = list(rows)
    if not rows[0].keys() >= fixed.keys():
        values = [{**fixed, **row} for row in rows]
    if names is not None:
        values = [tuple(map(row.__getitem__, names)) for row in values]
    options = {"preserve_rowcount": True}
    return connection.exec_driver_sql(compiled.string, values, execution_options=options).rowcount


def chunks(items: Sequence[Any], size: int = KEYS_PER_STATEMENT) -> Iterator[Sequence[Any]]:
    """Cut `items` into pieces that fit one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise BadInput(
                f"a registry at {parsed.render_as_string()} is not supported: "
                "use sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
            )
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_S})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        limits = {name: limit for name, limit in _POSTGRESQL.items() if name not in parsed.query}
        return create_engine(parsed, pool_pre_ping=True, connect_args=limits)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        shown = without_password(url)
        raise BadInput(f"{shown!r} is not the URL of a registry: {error}") from error


def memory_engine(pool: type[Pool]) -> Engine:
    """Return SQLite in memory, with transactions as a file has them."""
    engine = create_engine("sqlite://", poolclass=pool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("fairway_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
