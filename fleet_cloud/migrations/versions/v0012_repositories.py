"""Image repositories of tenants: metadata as it was published, and how far each has come."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "repositories",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "repository_files",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(128), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("published_time_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Forget all of it; vehicles that have it still trust it."""
    op.drop_table("repository_files")
    op.drop_table("repositories")
