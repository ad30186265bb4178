"""The tables of campaigns, as the newest migration leaves them.

    campaigns, vehicle_facts, state_templates     what is wanted: each row with the revision of its change
    vehicle_lists                                 which list a vehicle is to have, and its revision
    check_ins, campaign_states, twins             what vehicles said last
    vehicle_commands                              what they were asked, and answered
    campaign_progress, _events, _streams          what campaigns have brought

Rule 1: a deleted campaign or template leaves its row, so that whoever follows the plan hears of it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from fleet_cloud.adapters.registry_metadata import metadata, scope

campaigns = Table(
    "campaigns",
    metadata,
    *scope(),
    Column("name", String(100), primary_key=True),
    Column("sync_id", String(256), nullable=False),
    Column("document", Text, nullable=False),
    Column("target_kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("author", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
    Column("started_time_ns", BigInteger),
    Column("stages", Text, nullable=False),
    Column("max_refused_percent", Float, nullable=False),
    Column("percent", Float, nullable=False),
    Column("halted", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("campaigns_by_revision", "region", "revision"),
)

vehicle_facts = Table(
    "vehicle_facts",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("attributes", Text, nullable=False),
    Column("fleets", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("vehicle_facts_by_revision", "region", "revision"),
)

state_templates = Table(
    "state_templates",
    metadata,
    *scope(),
    Column("name", String(512), primary_key=True),
    Column("signals", Text, nullable=False),
    Column("period_ms", BigInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("state_templates_by_revision", "region", "revision"),
)

vehicle_lists = Table(
    "vehicle_lists",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("basis", BigInteger, nullable=False),
)

check_ins = Table(
    "check_ins",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("agent_version", Text, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
    Column("campaigns_revision", BigInteger, nullable=False),
    Column("catalogue_id", LargeBinary(8), nullable=False),
    Column("templates_revision", BigInteger, nullable=False),
    Column("templates", Text, nullable=False),
)

campaign_states = Table(
    "campaign_states",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("sync_id", String(256), primary_key=True),
    Column("state", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("warnings", Text, nullable=False),
    Column("triggers", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("sent_bytes", BigInteger, nullable=False),
    Column("waiting_bytes", BigInteger, nullable=False),
    Column("dropped_samples", BigInteger, nullable=False),
    Column("held_back_bytes", BigInteger, nullable=False),
    Index("campaign_states_by_campaign", "region", "tenant", "sync_id", "vehicle"),
)

twins = Table(
    "twins",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("value", Text, nullable=False),
    Column("template", String(512), nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
)

vehicle_commands = Table(
    "vehicle_commands",
    metadata,
    *scope(),
    Column("id", String(64), primary_key=True),
    Column("vehicle", String(64), nullable=False),
    Column("what", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("expires_time_ns", BigInteger, nullable=False),
    Column("is_sent", Boolean, nullable=False),
    Column("state", Integer, nullable=False),
    Column("reason_code", BigInteger, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("json", Text, nullable=False),
    Index("vehicle_commands_by_expiry", "region", "expires_time_ns"),
)

campaign_progress = Table(
    "campaign_progress",
    metadata,
    *scope(),
    Column("sync_id", String(256), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("last_time_ns", BigInteger, nullable=False),
)

campaign_events = Table(
    "campaign_events",
    metadata,
    *scope(),
    Column("sync_id", String(256), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("time_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("samples", BigInteger, nullable=False),
    Column("dtcs", Text, nullable=False),
    Column("dtcs_missing", Text, nullable=False),
    Index("campaign_events_by_time", "region", "tenant", "sync_id", "time_ns"),
)

campaign_streams = Table(
    "campaign_streams",
    metadata,
    *scope(),
    Column("sync_id", String(256), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("stream", String(16), primary_key=True),
    Column("partition", String(128), nullable=False),
)
