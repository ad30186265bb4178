"""What is known about kinds of vehicles: documents of a tenant, and which refer to which."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "models",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(256), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "model_references",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("of_kind", sa.String(32), primary_key=True),
        sa.Column("of_name", sa.String(256), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(256), primary_key=True),
    )
    op.create_index(
        "model_references_by_name", "model_references", ["region", "tenant", "kind", "name"]
    )
    op.create_table(
        "model_revisions",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Forget all of it; vehicles and their certificates stay."""
    op.drop_table("model_revisions")
    op.drop_table("model_references")
    op.drop_table("models")
