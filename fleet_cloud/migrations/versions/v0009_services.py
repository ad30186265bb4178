"""Services that are desired of vehicles, what vehicles say of them, and the images that they run."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "services",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("target_kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("in_force", sa.Text, nullable=False),
        sa.Column("proposed", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "service_check_ins",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "service_states",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("service", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("sub", sa.String(32), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("is_ready", sa.Boolean, nullable=False),
        sa.Column("restarts", sa.BigInteger, nullable=False),
        sa.Column("last_good", sa.String(128), nullable=False),
        sa.Column("bad", sa.Text, nullable=False),
        sa.Column("image", sa.String(80), nullable=False),
        sa.Column("is_isolated", sa.Boolean, nullable=False),
        sa.Column("denials", sa.Text, nullable=False),
        sa.Column("denied", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("pushed_by", sa.Text, nullable=False),
        sa.Column("pushed_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "artifacts",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("kept_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("services_by_revision", "services", ["region", "revision"])
    op.create_index("services_by_name", "services", ["region", "tenant", "name", "id"])
    op.create_index(
        "service_states_by_service", "service_states", ["region", "tenant", "service", "vehicle"]
    )


def downgrade() -> None:
    """Forget all of it; vehicles and campaigns stay, and so do files."""
    op.drop_table("artifacts")
    op.drop_table("images")
    op.drop_table("service_states")
    op.drop_table("service_check_ins")
    op.drop_table("services")
