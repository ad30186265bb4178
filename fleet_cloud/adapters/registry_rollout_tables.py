"""The tables of updates, as the newest migration leaves them.

    rollouts, rollout_waves, rollout_vehicles    what is rolled out, in which waves, and how far each vehicle is
    update_events                                what vehicles said of their orders
    update_bad                                   versions that failed in a vehicle
    update_vehicles, ecus, ecu_wishes            what vehicles are made of and hold, as they reported last
    update_evidence                              reports that did not hold
    director_roots, director_files               the Director's metadata
    update_records, update_heads, update_seals   what was done, and its proof

Rule 1: `standing` says in one word what counts and offers ask for; it is written with what it follows from.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from fleet_cloud.adapters.registry_metadata import ROW_ID, metadata, scope

rollouts = Table(
    "rollouts",
    metadata,
    *scope(),
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("state", String(32), nullable=False),
    Column("wish", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
    Column("started_time_ns", BigInteger),
    Column("why", Text, nullable=False),
    Column("safety", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("scanned_after", String(64), nullable=False),
    Column("scanned_time_ns", BigInteger, nullable=False),
    Column("lease_owner", String(64), nullable=False),
    Column("lease_until_ns", BigInteger, nullable=False),
    Index("rollouts_by_state", "region", "state", "lease_until_ns"),
)

rollout_waves = Table(
    "rollout_waves",
    metadata,
    *scope(),
    Column("rollout", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("opened_time_ns", BigInteger, nullable=False),
    Column("soaking_time_ns", BigInteger, nullable=False),
    Column("ended_time_ns", BigInteger, nullable=False),
    Column("paced_time_ns", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("forgiven_done", BigInteger, nullable=False),
    Column("forgiven_failed", BigInteger, nullable=False),
    Column("is_forgiven", Boolean, nullable=False),
)

rollout_vehicles = Table(
    "rollout_vehicles",
    metadata,
    *scope(),
    Column("rollout", String(16), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("wave", Integer, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("standing", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("not_before_ns", BigInteger, nullable=False),
    Column("offered_time_ns", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("fault", String(16), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("held", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("rollout_vehicles_by_turn", "region", "tenant", "rollout", "standing", "wave", "turn"),
    Index("rollout_vehicles_by_vehicle", "region", "tenant", "vehicle", "standing"),
    Index("rollout_vehicles_by_revision", "region", "revision"),
)

update_events = Table(
    "update_events",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("action", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("ecu", String(128), nullable=False),
    Column("percent", Integer),
    Column("fault", String(16), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("log", Text, nullable=False),
)

update_bad = Table(
    "update_bad",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("rollout", String(16), nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("sentence", Text, nullable=False),
)

update_vehicles = Table(
    "update_vehicles",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("configuration", String(32), nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("reported_time_ns", BigInteger, nullable=False),
    Column("report", LargeBinary, nullable=False),
    Column("rxswin", Text, nullable=False),
    Column("is_listening", Boolean, nullable=False),
    Index("update_vehicles_by_configuration", "region", "tenant", "configuration", "vehicle"),
)

ecus = Table(
    "ecus",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("serial", String(128), primary_key=True),
    Column("hardware_id", String(128), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("registered_time_ns", BigInteger, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("release_counter", BigInteger, nullable=False),
    Column("attacks", Text, nullable=False),
)

ecu_wishes = Table(
    "ecu_wishes",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("ecus", Text, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
)

update_evidence = Table(
    "update_evidence",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    *scope(key=False),
    Column("vehicle", String(64), nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("update_evidence_by_vehicle", "region", "tenant", "vehicle", "id", unique=True),
)

director_roots = Table(
    "director_roots",
    metadata,
    *scope(),
    Column("version", BigInteger, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
)

director_files = Table(
    "director_files",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("expires_time_ns", BigInteger, nullable=False),
    Column("targets", LargeBinary, nullable=False),
    Column("snapshot", LargeBinary, nullable=False),
    Column("timestamp", LargeBinary, nullable=False),
)

update_records = Table(
    "update_records",
    metadata,
    *scope(),
    Column("subject", String(80), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("series", String(16), nullable=False),
    Column("seal", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("what", String(32), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("update_records_by_seal", "region", "tenant", "series", "seal", "place"),
)

update_heads = Table(
    "update_heads",
    metadata,
    *scope(),
    Column("subject", String(80), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

update_seals = Table(
    "update_seals",
    metadata,
    *scope(),
    Column("series", String(16), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("key", String(64), nullable=False),
    Column("signature", Text, nullable=False),
)

update_tables = (
    rollouts,
    rollout_waves,
    rollout_vehicles,
    update_events,
    update_bad,
    update_vehicles,
    ecus,
    ecu_wishes,
    update_evidence,
    director_roots,
    director_files,
    update_records,
    update_heads,
    update_seals,
)
