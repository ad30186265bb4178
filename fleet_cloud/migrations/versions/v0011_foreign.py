"""Clients that speak hawkBit or AWS IoT Jobs: what is kept for them, and the numbers they know things by."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "foreign_documents",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("listed_under", sa.String(160), nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "foreign_numbers",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_index(
        "foreign_documents_by_group",
        "foreign_documents",
        ["region", "tenant", "kind", "listed_under", "made"],
    )
    op.create_index(
        "foreign_numbers_by_name",
        "foreign_numbers",
        ["region", "tenant", "kind", "name"],
        unique=True,
    )


def downgrade() -> None:
    """Forget those clients; what rollouts know stays."""
    op.drop_table("foreign_numbers")
    op.drop_table("foreign_documents")
