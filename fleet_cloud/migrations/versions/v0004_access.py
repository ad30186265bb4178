"""People and machines at the API: keys and users, each with one role in one tenant (or `*`, all of them)."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "api_keys",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("fleet", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_time_ns", sa.BigInteger),
        sa.Column("revoked_time_ns", sa.BigInteger),
        sa.Column("used_time_ns", sa.BigInteger),
    )
    op.create_index("api_keys_by_id", "api_keys", ["region", "id"], unique=True)
    op.create_table(
        "users",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("fleet", sa.String(64), nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("users_by_name", "users", ["region", "name"], unique=True)


def downgrade() -> None:
    """Forget who they were."""
    op.drop_table("users")
    op.drop_table("api_keys")
