"""What all tables of the registry have in common."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String

metadata = MetaData()

# SQLite counts row ids only for a column declared INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def scope(*, key: bool = True) -> list[Column[str]]:
    """Return the columns that say whose a row is."""
    return [
        Column("region", String(32), primary_key=key, nullable=False),
        Column("tenant", String(64), primary_key=key, nullable=False),
    ]
