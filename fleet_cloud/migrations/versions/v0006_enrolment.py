"""The enrolment of vehicles: claims, whom they may enrol, and what became of every request."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "enrolment_claims",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_time_ns", sa.BigInteger, nullable=False),
        sa.Column("revoked_time_ns", sa.BigInteger),
    )
    op.create_table(
        "enrolment_allowances",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("claim", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("used_key", sa.String(64), nullable=False),
        sa.Column("used_time_ns", sa.BigInteger),
    )
    op.create_table(
        "enrolments",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("vehicle", sa.String(64), nullable=False),
        sa.Column("claim", sa.String(64), nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_time_ns", sa.BigInteger, nullable=False),
        sa.Column("decided_time_ns", sa.BigInteger),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("hardware_serial", sa.Text, nullable=False),
        sa.Column("agent_version", sa.Text, nullable=False),
        sa.Column("certificate_pem", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "enrolments_by_vehicle", "enrolments", ["region", "tenant", "vehicle", "key_sha256"]
    )
    op.create_index("enrolments_by_state", "enrolments", ["region", "state"])


def downgrade() -> None:
    """Forget who was enrolled how; their certificates stay."""
    op.drop_table("enrolments")
    op.drop_table("enrolment_allowances")
    op.drop_table("enrolment_claims")
