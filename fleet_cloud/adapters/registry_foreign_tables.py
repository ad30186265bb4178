"""The tables of foreign clients, as the newest migration leaves them.

foreign_documents    targets, modules, orders and jobs of clients that speak hawkBit or AWS Jobs
foreign_numbers      the whole numbers by which they know what has names here
"""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from fleet_cloud.adapters.registry_metadata import metadata, scope

foreign_documents = Table(
    "foreign_documents",
    metadata,
    *scope(),
    Column("kind", String(16), primary_key=True),
    Column("name", String(160), primary_key=True),
    Column("listed_under", String(160), nullable=False),
    Column("made", BigInteger, nullable=False),  # grows: in which order they were made
    Column("revision", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Index("foreign_documents_by_group", "region", "tenant", "kind", "listed_under", "made"),
)

foreign_numbers = Table(
    "foreign_numbers",
    metadata,
    *scope(),
    Column("kind", String(16), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Index("foreign_numbers_by_name", "region", "tenant", "kind", "name", unique=True),
)
