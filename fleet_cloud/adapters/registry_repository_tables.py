"""The tables of Image repositories, as the newest migration leaves them.

repositories        how far each tenant's has come: the version of its timestamp
repository_files    metadata as it was published, by role and version
"""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from fleet_cloud.adapters.registry_metadata import metadata, scope

repositories = Table(
    "repositories",
    metadata,
    *scope(),
    Column("version", BigInteger, nullable=False),
    Column("changed_time_ns", BigInteger, nullable=False),
)
repository_files = Table(
    "repository_files",
    metadata,
    *scope(),
    Column("role", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("published_time_ns", BigInteger, nullable=False),
)
