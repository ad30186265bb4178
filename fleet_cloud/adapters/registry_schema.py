"""The tables of the registry, as the newest migration leaves them (a test compares the two).

    tenants --- vehicles                         who belongs to the fleet
    certificates                                 by which vehicles are let in
    api_keys, users                              by which people and machines are let in
    enrolment_claims, enrolment_allowances       who may enrol which vehicles
    enrolments                                   what became of every request for a certificate
    streams, claims                              the ledger: which batches are stored, or being stored
    dictionaries, quarantine                     what vehicles sent that is not samples
    models, model_references, model_revisions    what is known about kinds of vehicles, as documents
    audit, audit_heads                           who did what, and how far each chain goes
    counters                                     numbers that only grow: the fleet's revision, the plan's
    campaigns and their like                     registry_campaign_tables.py
    services and their like                      registry_service_tables.py
    what foreign clients need                    registry_foreign_tables.py
    rollouts and their like                      registry_rollout_tables.py
    repositories and their files                 registry_repository_tables.py

Rule 1: nothing refers to a vehicle by foreign key but its tenant: ledger and quarantine outlive a vehicle.
Rule 2: region and tenant are first in the key of a tenant's rows; registry_scope.py builds what asks for them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
)

from fleet_cloud.adapters import (  # noqa: F401 - of this schema
    registry_campaign_tables,
    registry_foreign_tables,
    registry_metadata,
    registry_repository_tables,
    registry_rollout_tables,
    registry_service_tables,
)
from fleet_cloud.adapters.registry_metadata import ROW_ID
from fleet_cloud.adapters.registry_metadata import scope as _scope

metadata = registry_metadata.metadata

# The newest migration, which leaves these tables behind.
NEWEST = "0012"


tenants = Table(
    "tenants",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("created_time_ns", BigInteger, nullable=False),
)

vehicles = Table(
    "vehicles",
    metadata,
    *_scope(),
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("registered_time_ns", BigInteger, nullable=False),
    Column("last_seen_time_ns", BigInteger),
    Column("certificate_sha256", String(64), nullable=False),
    Column("certificate_expires_time_ns", BigInteger),
    Column("revision", BigInteger, nullable=False),
    ForeignKeyConstraint(["region", "tenant"], ["tenants.region", "tenants.id"]),
    Index("vehicles_by_id", "region", "id", unique=True),
    Index("vehicles_by_revision", "region", "revision"),
)

certificates = Table(
    "certificates",
    metadata,
    *_scope(),
    Column("sha256", String(64), primary_key=True),
    Column("number", String(32), nullable=False),
    Column("vehicle", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("issued_time_ns", BigInteger, nullable=False),
    Column("expires_time_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("ended_time_ns", BigInteger),
    Column("reason", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("certificates_by_vehicle", "region", "tenant", "vehicle"),
    Index("certificates_by_revision", "revision"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(32), nullable=False),
    Column("fleet", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("expires_time_ns", BigInteger),
    Column("revoked_time_ns", BigInteger),
    Column("used_time_ns", BigInteger),
    Index("api_keys_by_id", "region", "id", unique=True),
)

users = Table(
    "users",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("role", String(32), nullable=False),
    Column("fleet", String(64), nullable=False),
    Column("password", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Index("users_by_name", "region", "name", unique=True),
)

counters = Table(
    "counters",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

dictionaries = Table(
    "dictionaries",
    metadata,
    *_scope(),
    Column("id", LargeBinary(8), primary_key=True),
    Column("message", LargeBinary, nullable=False),
)

streams = Table(
    "streams",
    metadata,
    *_scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("stream", String(16), primary_key=True),
    Column("watermark", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("above", Text, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    *_scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("stream", String(16), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String(128), nullable=False),
    Column("time_ns", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    *_scope(key=False),
    Column("vehicle", String(64), nullable=False),
    Column("stream", String(16)),
    Column("sequence", BigInteger),
    Column("reason", Text, nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("quarantine_by_batch", "region", "tenant", "vehicle", "stream", "sequence", unique=True),
)

enrolment_claims = Table(
    "enrolment_claims",
    metadata,
    *_scope(),
    Column("name", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("expires_time_ns", BigInteger, nullable=False),
    Column("revoked_time_ns", BigInteger),
)

enrolment_allowances = Table(
    "enrolment_allowances",
    metadata,
    *_scope(),
    Column("claim", String(64), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("used_key", String(64), nullable=False),
    Column("used_time_ns", BigInteger),
)

enrolments = Table(
    "enrolments",
    metadata,
    *_scope(),
    Column("id", String(32), primary_key=True),
    Column("vehicle", String(64), nullable=False),
    Column("claim", String(64), nullable=False),
    Column("key_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_time_ns", BigInteger, nullable=False),
    Column("decided_time_ns", BigInteger),
    Column("decided_by", Text, nullable=False),
    Column("hardware_serial", Text, nullable=False),
    Column("agent_version", Text, nullable=False),
    Column("certificate_pem", LargeBinary, nullable=False),
    Index("enrolments_by_vehicle", "region", "tenant", "vehicle", "key_sha256"),
    Index("enrolments_by_state", "region", "state"),
)

models = Table(
    "models",
    metadata,
    *_scope(),
    Column("kind", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("content", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
)

model_references = Table(
    "model_references",
    metadata,
    *_scope(),
    Column("of_kind", String(32), primary_key=True),
    Column("of_name", String(256), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Index("model_references_by_name", "region", "tenant", "kind", "name"),
)

model_revisions = Table(
    "model_revisions",
    metadata,
    *_scope(),
    Column("value", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    *_scope(key=False),
    Column("number", BigInteger, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_by_number", "region", "tenant", "number", unique=True),
    Index("audit_by_time", "region", "time_ns"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    *_scope(),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("key", String(64), nullable=False),
    Column("signature", Text, nullable=False),
)
