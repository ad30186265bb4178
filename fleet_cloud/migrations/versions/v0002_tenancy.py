"""Region and tenant in the key of every table; rows of before belong to the region of the configuration."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
VEHICLE = sa.String(64)
STREAM = sa.String(16)


def upgrade() -> None:
    """Make each table anew with the longer key, and carry its rows over."""
    for index, table in (
        ("vehicles_by_revision", "vehicles"),
        ("quarantine_by_batch", "quarantine"),
    ):
        op.drop_index(index, table)
    for name in (
        "vehicles",
        "tenants",
        "counters",
        "streams",
        "claims",
        "dictionaries",
        "quarantine",
    ):
        op.rename_table(name, f"{name}_before")
    _make_fleet()
    _make_ledger()
    _make_kept()
    for name in (
        "vehicles",
        "tenants",
        "counters",
        "streams",
        "claims",
        "dictionaries",
        "quarantine",
    ):
        op.drop_table(f"{name}_before")
    op.create_index("vehicles_by_id", "vehicles", ["region", "id"], unique=True)
    op.create_index("vehicles_by_revision", "vehicles", ["region", "revision"])
    op.create_index(
        "quarantine_by_batch",
        "quarantine",
        ["region", "tenant", "vehicle", "stream", "sequence"],
        unique=True,
    )


def downgrade() -> None:
    """Not offered: two regions or tenants may have the same rows by now.  Restore a backup."""
    raise RuntimeError("the registry cannot go back behind 0002: restore a backup of before")


def _region() -> sa.Column[str]:
    return sa.Column("region", sa.String(32), primary_key=True)


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", sa.String(64), primary_key=True)


def _make_fleet() -> None:
    tenants = op.create_table(
        "tenants",
        _region(),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
    )
    _carry(tenants, "tenants_before", ["id", "created_time_ns"])
    vehicles = op.create_table(
        "vehicles",
        _region(),
        _tenant(),
        sa.Column("id", VEHICLE, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("registered_time_ns", sa.BigInteger, nullable=False),
        sa.Column("last_seen_time_ns", sa.BigInteger),
        sa.Column("certificate_sha256", sa.String(64), nullable=False),
        sa.Column("certificate_expires_time_ns", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["region", "tenant"], ["tenants.region", "tenants.id"]),
    )
    _carry(
        vehicles,
        "vehicles_before",
        [
            "tenant",
            "id",
            "state",
            "registered_time_ns",
            "last_seen_time_ns",
            "certificate_sha256",
            "certificate_expires_time_ns",
            "revision",
        ],
    )
    counters = op.create_table(
        "counters",
        _region(),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    _carry(counters, "counters_before", ["name", "value"])


def _make_ledger() -> None:
    streams = op.create_table(
        "streams",
        _region(),
        _tenant(),
        sa.Column("vehicle", VEHICLE, primary_key=True),
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("above", sa.Text, nullable=False),
    )
    _carry_of_vehicles(
        streams, "streams_before", ["vehicle", "stream", "watermark", "floor", "above"]
    )
    claims = op.create_table(
        "claims",
        _region(),
        _tenant(),
        sa.Column("vehicle", VEHICLE, primary_key=True),
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
    )
    _carry_of_vehicles(
        claims, "claims_before", ["vehicle", "stream", "sequence", "owner", "time_ns"]
    )


def _make_kept() -> None:
    dictionaries = op.create_table(
        "dictionaries",
        _region(),
        _tenant(),
        sa.Column("id", sa.LargeBinary(8), primary_key=True),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    # Whose a dictionary is was not noted: every tenant gets those that there were.
    before = _before("dictionaries_before", ["id", "message"])
    tenants = _before("tenants_before", ["id"])
    _insert(
        dictionaries,
        ["tenant", "id", "message"],
        sa.select(tenants.c.id, before.c.id, before.c.message).select_from(
            before.join(tenants, sa.true())
        ),
    )
    quarantine = op.create_table(
        "quarantine",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("vehicle", VEHICLE, nullable=False),
        sa.Column("stream", STREAM),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("kept_bytes", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    _carry_of_vehicles(
        quarantine,
        "quarantine_before",
        [
            "vehicle",
            "stream",
            "sequence",
            "reason",
            "received_time_ns",
            "size_bytes",
            "kept_bytes",
            "payload",
        ],
    )


def _before(name: str, columns: Sequence[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def _carry(table: sa.Table, name: str, columns: Sequence[str]) -> None:
    before = _before(name, columns)
    _insert(table, columns, sa.select(*(before.c[column] for column in columns)))


def _carry_of_vehicles(table: sa.Table, name: str, columns: Sequence[str]) -> None:
    """Carry rows over that say their vehicle; its tenant is theirs."""
    before = _before(name, columns)
    vehicles = _before("vehicles_before", ["id", "tenant"])
    _insert(
        table,
        ["tenant", *columns],
        sa.select(
            sa.func.coalesce(vehicles.c.tenant, "default"),
            *(before.c[column] for column in columns),
        ).select_from(before.outerjoin(vehicles, vehicles.c.id == before.c.vehicle)),
    )


def _insert(table: sa.Table, columns: Sequence[str], rows: sa.Select[Any]) -> None:
    region = context.config.attributes.get("region", "local")
    op.execute(
        table.insert().from_select(
            ["region", *columns], rows.with_only_columns(sa.literal(region), *rows.selected_columns)
        )
    )
