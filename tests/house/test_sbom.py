"""The list of what Fairway is made of is what the lock files say, byte for byte, and names no server."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-tpm.lock", "requirements-delta.lock")
TEXT = (ROOT / "sbom.cdx.json").read_text()


@pytest.mark.slow
def test_the_list_is_fresh():
    assert runpy.run_path(str(ROOT / ".ci" / "sbom.py"))["sbom"]() == TEXT, "make sbom"


def test_the_list_has_every_locked_package_with_its_version_and_hashes_and_no_other():
    locks = [(ROOT / name).read_text() for name in LOCKS]
    pinned = {
        pin for lock in locks for pin in re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock, re.MULTILINE)
    }
    hashes = set(re.findall(r"--hash=sha256:(\w+)", "".join(locks)))
    listed = json.loads(TEXT)["components"]

    assert {(one["name"], one["version"]) for one in listed} == pinned
    assert {one["content"] for part in listed for one in part.get("hashes", [])} == hashes


def test_what_runs_is_told_from_tools():
    scopes = {one["name"]: one["scope"] for one in json.loads(TEXT)["components"]}

    assert {scopes[name] for name in ("grpcio", "cryptography", "starlette")} == {"required"}
    assert {scopes[name] for name in ("pytest", "ruff", "grpcio-tools")} == {"excluded"}
    assert {scopes[name] for name in ("tpm2-pytss", "detools")} == {"optional"}


def test_the_list_names_no_server_and_no_time():
    document = json.loads(TEXT)

    assert re.findall(r"https?://[^\"]*", TEXT) == [
        "http://cyclonedx.org/schema/bom-1.6.schema.json"
    ]
    assert "timestamp" not in document["metadata"]
