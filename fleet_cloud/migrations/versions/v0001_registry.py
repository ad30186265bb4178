"""The registry of the first release: fleet, ledger, dictionaries, quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
VEHICLE = sa.String(64)
STREAM = sa.String(16)


def upgrade() -> None:
    """Make every table."""
    _make_fleet()
    _make_ledger()
    op.create_table(
        "dictionaries",
        sa.Column("id", sa.LargeBinary(8), primary_key=True),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("vehicle", VEHICLE, nullable=False),
        sa.Column("stream", STREAM),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("kept_bytes", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "quarantine_by_batch", "quarantine", ["vehicle", "stream", "sequence"], unique=True
    )


def _make_fleet() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "vehicles",
        sa.Column("id", VEHICLE, primary_key=True),
        sa.Column("tenant", sa.String(64), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("registered_time_ns", sa.BigInteger, nullable=False),
        sa.Column("last_seen_time_ns", sa.BigInteger),
        sa.Column("certificate_sha256", sa.String(64), nullable=False),
        sa.Column("certificate_expires_time_ns", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("vehicles_by_revision", "vehicles", ["revision"])
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "fleet_revision", "value": 0}])


def _make_ledger() -> None:
    op.create_table(
        "streams",
        sa.Column("vehicle", VEHICLE, primary_key=True),
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("above", sa.Text, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("vehicle", VEHICLE, primary_key=True),
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Remove every table."""
    for table in (
        "quarantine",
        "dictionaries",
        "claims",
        "streams",
        "counters",
        "vehicles",
        "tenants",
    ):
        op.drop_table(table)
