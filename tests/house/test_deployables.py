"""What each deployable pulls into memory: a vehicle carries nothing of the cloud, and the reverse."""

import subprocess
import sys

import pytest

NOT_IN_VEHICLES = {
    "boto3", "fastapi", "uvicorn", "sqlalchemy", "alembic", "psycopg", "chdb", "clickhouse_connect",
    "pyarrow", "fleet_cloud", "ota.release", "ota.signing", "simulators",
}  # fmt: skip
NOT_IN_THE_CLOUD = {"edge_agent", "simulators", "can", "cantools", "asammdf"}
# Slow to load and needed by few: an agent loads them when its configuration asks for them.
NOT_AT_THE_START = {"cantools", "asammdf", "pandas", "can"}
NOT_AT_THE_CLOUDS_START = {"boto3", "botocore", "alembic", "chdb", "psycopg", "awscrt"}


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("edge_agent.app", NOT_IN_VEHICLES | NOT_AT_THE_START),
        ("edge_agent.cli", NOT_IN_VEHICLES | NOT_AT_THE_START),
        ("fleet_cloud.app", NOT_IN_THE_CLOUD | NOT_AT_THE_CLOUDS_START),
        ("fleet_cloud.cli", NOT_IN_THE_CLOUD | NOT_AT_THE_CLOUDS_START),
    ],
)
def test_a_deployable_loads_only_its_own(module: str, banned: set[str]):
    code = f"import sys, {module}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert banned & set(out.stdout.split()) == set()


def test_the_pure_packages_load_no_adapter():
    code = (
        "import sys, fairway.samples, fairway.telemetry, edge_agent.canbus.database;"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert {"socket", "sqlite3", "grpc", "paho", "asyncio"} & set(out.stdout.split()) == set()
