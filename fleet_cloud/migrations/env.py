"""How Alembic reaches the registry: over the connection that `adapters/registry_sql.py` hands it.

For a developer's own `alembic` commands, `sqlalchemy.url` of the Alembic configuration is used instead.
"""

from alembic import context
from sqlalchemy import Connection, create_engine


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


handed: Connection | None = context.config.attributes.get("connection")
if handed is not None:
    _migrate(handed)
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "sqlite://")
    with engine.begin() as opened:
        _migrate(opened)
