"""The tables of services, as the newest migration leaves them.

    services                              what is desired of which target, with the revision of its change
    service_check_ins, service_states     what vehicles said last
    images                                what tenants have pushed, each the name of some artifacts
    artifacts                             whose large files are kept

Rule 1: what is desired no longer leaves its row, so that whoever follows the plan hears of it.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from fleet_cloud.adapters.registry_metadata import metadata, scope

services = Table(
    "services",
    metadata,
    *scope(),
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("target_kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("in_force", Text, nullable=False),
    Column("proposed", Text, nullable=False),
    Column("created_time_ns", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("services_by_revision", "region", "revision"),
    Index("services_by_name", "region", "tenant", "name", "id"),
)

service_check_ins = Table(
    "service_check_ins",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("received_time_ns", BigInteger, nullable=False),
)

service_states = Table(
    "service_states",
    metadata,
    *scope(),
    Column("vehicle", String(64), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("version", String(128), nullable=False),
    Column("state", String(32), nullable=False),
    Column("sub", String(32), nullable=False),
    Column("why", Text, nullable=False),
    Column("is_ready", Boolean, nullable=False),
    Column("restarts", BigInteger, nullable=False),
    Column("last_good", String(128), nullable=False),
    Column("bad", Text, nullable=False),
    Column("image", String(80), nullable=False),
    Column("is_isolated", Boolean, nullable=False),
    Column("denials", Text, nullable=False),
    Column("denied", BigInteger, nullable=False),
    Index("service_states_by_service", "region", "tenant", "service", "vehicle"),
)

images = Table(
    "images",
    metadata,
    *scope(),
    Column("digest", String(80), primary_key=True),
    Column("parts", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("platform", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("pushed_by", Text, nullable=False),
    Column("pushed_time_ns", BigInteger, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    *scope(),
    Column("digest", String(80), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kept_time_ns", BigInteger, nullable=False),
)
