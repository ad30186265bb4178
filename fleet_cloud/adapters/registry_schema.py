"""The tables of the registry, as the newest migration leaves them (a test compares the two).

    tenants --- vehicles                         who belongs to the fleet
    certificates                                 by which vehicles are let in
    enrolment_claims, enrolment_allowances       who may enrol which vehicles
    enrolments                                   what became of every request for a certificate
    streams, claims                              the ledger: which batches are stored, or being stored
    dictionaries, quarantine                     what vehicles sent that is not samples
    counters                                     numbers that only grow: the fleet's revision

Rule 1: nothing refers to a vehicle by foreign key but its tenant: ledger and quarantine outlive a vehicle.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# The newest migration, which leaves these tables behind.
NEWEST = "0006"

# SQLite counts row ids only for a column declared INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_time_ns", BigInteger, nullable=False),
)

vehicles = Table(
    "vehicles",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), ForeignKey("tenants.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("registered_time_ns", BigInteger, nullable=False),
    Column("last_seen_time_ns", BigInteger),
    Column("certificate_sha256", String(64), nullable=False),
    Column("certificate_expires_time_ns", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Index("vehicles_by_revision", "revision"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
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

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

dictionaries = Table(
    "dictionaries",
    metadata,
    Column("id", LargeBinary(8), primary_key=True),
    Column("message", LargeBinary, nullable=False),
)

streams = Table(
    "streams",
    metadata,
    Column("vehicle", String(64), primary_key=True),
    Column("stream", String(16), primary_key=True),
    Column("watermark", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("above", Text, nullable=False),
)

claims = Table(
    "claims",
    metadata,
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
    Column("vehicle", String(64), nullable=False),
    Column("stream", String(16)),
    Column("sequence", BigInteger),
    Column("reason", Text, nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("quarantine_by_batch", "vehicle", "stream", "sequence", unique=True),
)

enrolment_claims = Table(
    "enrolment_claims",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
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
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
    Column("claim", String(64), primary_key=True),
    Column("vehicle", String(64), primary_key=True),
    Column("used_key", String(64), nullable=False),
    Column("used_time_ns", BigInteger),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("region", String(32), primary_key=True),
    Column("tenant", String(64), primary_key=True),
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
