"""Certificates of vehicles, each with its state; those issued before become rows without a number."""

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A certificate of which nobody noted when it ends: the end of what int64 nanoseconds can say.
NEVER_NS = 2**63 - 1


def upgrade() -> None:
    """Make the table, and fill it with what the fleet knew."""
    certificates = op.create_table(
        "certificates",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("vehicle", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        sa.Column("issued_time_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_time_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ended_time_ns", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("certificates_by_vehicle", "certificates", ["region", "tenant", "vehicle"])
    op.create_index("certificates_by_revision", "certificates", ["revision"])
    vehicles = sa.table(
        "vehicles",
        *(
            sa.column(name)
            for name in (
                "id",
                "tenant",
                "certificate_sha256",
                "registered_time_ns",
                "certificate_expires_time_ns",
                "revision",
            )
        ),
    )
    known = sa.select(
        sa.literal(context.config.attributes.get("region", "local")),
        vehicles.c.tenant,
        vehicles.c.certificate_sha256,
        sa.literal(""),
        vehicles.c.id,
        sa.literal(""),
        vehicles.c.registered_time_ns,
        sa.func.coalesce(vehicles.c.certificate_expires_time_ns, NEVER_NS),
        sa.literal("active"),
        sa.null(),
        sa.literal(""),
        vehicles.c.revision,
    ).where(vehicles.c.certificate_sha256 != "")
    columns = [column.name for column in certificates.columns]
    op.execute(certificates.insert().from_select(columns, known))


def downgrade() -> None:
    """Forget them; vehicles keep the hash of the newest."""
    op.drop_table("certificates")
