"""Updates: rollouts and how far vehicles are, ECUs, the Director, and the records of what was done."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _rollouts()
    _vehicles()
    _records()


def _rollouts() -> None:
    """What is rolled out, and how far it is."""
    op.create_table(
        "rollouts",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("wish", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("created_time_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
        sa.Column("started_time_ns", sa.BigInteger),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("safety", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("scanned_after", sa.String(64), nullable=False),
        sa.Column("scanned_time_ns", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.String(64), nullable=False),
        sa.Column("lease_until_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("rollouts_by_state", "rollouts", ["region", "state", "lease_until_ns"])
    op.create_table(
        "rollout_waves",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("rollout", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_time_ns", sa.BigInteger, nullable=False),
        sa.Column("soaking_time_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_time_ns", sa.BigInteger, nullable=False),
        sa.Column("paced_time_ns", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("forgiven_done", sa.BigInteger, nullable=False),
        sa.Column("forgiven_failed", sa.BigInteger, nullable=False),
        sa.Column("is_forgiven", sa.Boolean, nullable=False),
    )
    op.create_table(
        "rollout_vehicles",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("rollout", sa.String(16), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("not_before_ns", sa.BigInteger, nullable=False),
        sa.Column("offered_time_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_time_ns", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("held", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("rollout_vehicles_by_revision", "rollout_vehicles", ["region", "revision"])
    op.create_index(
        "rollout_vehicles_by_turn",
        "rollout_vehicles",
        ["region", "tenant", "rollout", "standing", "wave", "turn"],
    )
    op.create_index(
        "rollout_vehicles_by_vehicle",
        "rollout_vehicles",
        ["region", "tenant", "vehicle", "standing"],
    )
    op.create_table(
        "update_events",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("action", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("received_time_ns", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("ecu", sa.String(128), nullable=False),
        sa.Column("percent", sa.Integer),
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("log", sa.Text, nullable=False),
    )
    op.create_table(
        "update_bad",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("rollout", sa.String(16), nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
    )


def _vehicles() -> None:
    """What vehicles are made of, and what they are told."""
    op.create_table(
        "update_vehicles",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("configuration", sa.String(32), nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("reported_time_ns", sa.BigInteger, nullable=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
        sa.Column("rxswin", sa.Text, nullable=False),
        sa.Column("is_listening", sa.Boolean, nullable=False),
    )
    op.create_index(
        "update_vehicles_by_configuration",
        "update_vehicles",
        ["region", "tenant", "configuration", "vehicle"],
    )
    op.create_table(
        "ecus",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(128), primary_key=True),
        sa.Column("hardware_id", sa.String(128), nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("is_primary", sa.Boolean, nullable=False),
        sa.Column("registered_time_ns", sa.BigInteger, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("release_counter", sa.BigInteger, nullable=False),
        sa.Column("attacks", sa.Text, nullable=False),
    )
    op.create_table(
        "ecu_wishes",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("ecus", sa.Text, nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "update_evidence",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("vehicle", sa.String(64), nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "update_evidence_by_vehicle",
        "update_evidence",
        ["region", "tenant", "vehicle", "id"],
        unique=True,
    )
    op.create_table(
        "director_roots",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "director_files",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("vehicle", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("expires_time_ns", sa.BigInteger, nullable=False),
        sa.Column("targets", sa.LargeBinary, nullable=False),
        sa.Column("snapshot", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", sa.LargeBinary, nullable=False),
    )


def _records() -> None:
    """What was done."""
    op.create_table(
        "update_records",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("series", sa.String(16), nullable=False),
        sa.Column("seal", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index(
        "update_records_by_seal", "update_records", ["region", "tenant", "series", "seal", "place"]
    )
    op.create_table(
        "update_heads",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "update_seals",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("series", sa.String(16), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Forget all of it: vehicles keep what they hold."""
    op.drop_table("update_seals")
    op.drop_table("update_heads")
    op.drop_table("update_records")
    op.drop_table("director_files")
    op.drop_table("director_roots")
    op.drop_table("update_evidence")
    op.drop_table("ecu_wishes")
    op.drop_table("ecus")
    op.drop_table("update_vehicles")
    op.drop_table("update_bad")
    op.drop_table("update_events")
    op.drop_table("rollout_vehicles")
    op.drop_table("rollout_waves")
    op.drop_table("rollouts")
