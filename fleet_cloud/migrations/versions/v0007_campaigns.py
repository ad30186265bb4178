"""Campaigns: what is wanted of vehicles, what they say of it, and what comes of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "campaigns",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("sync_id", sa.String(256), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("target_kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
        sa.Column("started_time_ns", sa.BigInteger),
        sa.Column("stages", sa.Text, nullable=False),
        sa.Column("max_refused_percent", sa.Float, nullable=False),
        sa.Column("percent", sa.Float, nullable=False),
        sa.Column("halted", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("campaigns_by_revision", "campaigns", ["region", "revision"])
    op.create_table(
        "vehicle_facts",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("fleets", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("vehicle_facts_by_revision", "vehicle_facts", ["region", "revision"])
    op.create_table(
        "state_templates",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("signals", sa.Text, nullable=False),
        sa.Column("period_ms", sa.BigInteger, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("state_templates_by_revision", "state_templates", ["region", "revision"])
    op.create_table(
        "vehicle_lists",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("basis", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "check_ins",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("agent_version", sa.Text, nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
        sa.Column("campaigns_revision", sa.BigInteger, nullable=False),
        sa.Column("catalogue_id", sa.LargeBinary(8), nullable=False),
        sa.Column("templates_revision", sa.BigInteger, nullable=False),
        sa.Column("templates", sa.Text, nullable=False),
    )
    op.create_table(
        "campaign_states",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("sync_id", sa.String(256), primary_key=True),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("triggers", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("sent_bytes", sa.BigInteger, nullable=False),
        sa.Column("waiting_bytes", sa.BigInteger, nullable=False),
        sa.Column("dropped_samples", sa.BigInteger, nullable=False),
        sa.Column("held_back_bytes", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "campaign_states_by_campaign", "campaign_states", ["region", "tenant", "sync_id", "vehicle"]
    )
    op.create_table(
        "twins",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("template", sa.String(512), nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "vehicle_commands",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_time_ns", sa.BigInteger, nullable=False),
        sa.Column("is_sent", sa.Boolean, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("reason_code", sa.BigInteger, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
    )
    op.create_index("vehicle_commands_by_expiry", "vehicle_commands", ["region", "expires_time_ns"])
    op.create_table(
        "campaign_progress",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("sync_id", sa.String(256), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("last_time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "campaign_events",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("sync_id", sa.String(256), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("time_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("dtcs", sa.Text, nullable=False),
        sa.Column("dtcs_missing", sa.Text, nullable=False),
    )
    op.create_index(
        "campaign_events_by_time", "campaign_events", ["region", "tenant", "sync_id", "time_ns"]
    )
    op.create_table(
        "campaign_streams",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("sync_id", sa.String(256), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("stream", sa.String(16), primary_key=True),
        sa.Column("partition", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    """Forget campaigns; the samples that they have brought stay."""
    op.drop_table("campaign_streams")
    op.drop_table("campaign_events")
    op.drop_table("campaign_progress")
    op.drop_table("vehicle_commands")
    op.drop_table("twins")
    op.drop_table("campaign_states")
    op.drop_table("check_ins")
    op.drop_table("vehicle_lists")
    op.drop_table("state_templates")
    op.drop_table("vehicle_facts")
    op.drop_table("campaigns")
