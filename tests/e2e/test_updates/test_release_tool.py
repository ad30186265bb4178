"""`ota-release` as people and pipelines use it: a release from its file to where vehicles fetch it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import BIN
from tests.ota.release_kit import inputs, release

pytestmark = pytest.mark.slow


class Tool:
    """The program, in a folder of work."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(BIN / "ota-release"), *words]
        return subprocess.run(
            command, check=False, cwd=self.path, capture_output=True, text=True, timeout=240
        )

    def must(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 1
        lines = done.stderr.strip().splitlines()
        assert "Traceback" not in done.stderr
        return lines[-1]


def test_a_release_goes_from_its_file_to_where_vehicles_fetch_it(tmp_path: Path):
    tool = Tool(tmp_path)
    here = ("--folder", "rel")
    stamp = ("--key", "keys/timestamp-1.pem", "--snapshot-key", "keys/snapshot-1.pem")
    tool.must("init", "rel", "--keys", "keys")
    for version, seed in (("1.0.0", 1), ("1.1.0", 2)):
        inputs(tmp_path, seed=seed)
        (tmp_path / "release.toml").write_text(release(version))
        built = tool.must("build", "release.toml", *here)
        assert built["waiting"][0]["sentence"].startswith("releases")
        if seed == 2:
            made = tool.must("delta", "system/1.1.0.img", *here)[0]
            assert any(one["kept"] for one in made["made"])

        assert "0 of 2" in tool.fails("publish", "public", *here)
        tool.must("sign", "--key", "keys/ci.pem", *here)
        assert "awaiting signature: 1 of 2 (ci)" in tool.fails("publish", "public", *here)
        tool.must("cosign", "--key", "keys/owner-2.pem", *here)
        tool.must("timestamp", *stamp, *here)
        tool.must("publish", "public", *here)

        proof = tool.must("verify", *here)
        assert proof["bundles"] == seed
        tool.must("verify", "--place", "public", *here)

    assert tool.must("publish", "public", *here)["blobs_sent"] == 0
    assert tool.run("--version").stdout.startswith("ota-release ")
    assert tool.run("build").returncode == 2


def test_a_person_signs_on_another_machine_with_what_git_keeps(tmp_path: Path):
    """Large bytes stay where they were built; metadata and documents travel."""
    ci = Tool(tmp_path / "ci")
    ci.path.mkdir()
    ci.must("init", "rel", "--keys", "keys")
    inputs(ci.path)
    (ci.path / "release.toml").write_text(release())
    ci.must("build", "release.toml", "--folder", "rel")
    ci.must("sign", "--key", "keys/ci.pem", "--folder", "rel")
    ci.must("publish", str(tmp_path / "public"), "--bytes-only", "--folder", "rel")
    git("init", "-q", ".", at=ci.path)
    git("add", "rel", at=ci.path)
    git("commit", "-qm", "awaits a signature", at=ci.path)

    git("clone", "-q", str(ci.path), str(tmp_path / "owner"), at=tmp_path)
    owner = Tool(tmp_path / "owner")
    assert not (owner.path / "rel" / "blobs").exists()
    owner.must("cosign", "--key", str(ci.path / "keys" / "owner-1.pem"), "--folder", "rel")
    keys = ci.path / "keys"
    stamp = ("--key", f"{keys}/timestamp-1.pem", "--snapshot-key", f"{keys}/snapshot-1.pem")
    owner.must("timestamp", *stamp, "--folder", "rel")
    owner.must("publish", str(tmp_path / "public"), "--folder", "rel")

    owner.must("verify", "--place", str(tmp_path / "public"), "--folder", "rel")


def git(*words: str, at: Path) -> None:
    said = {
        "GIT_AUTHOR_NAME": "ci", "GIT_AUTHOR_EMAIL": "ci@localhost",
        "GIT_COMMITTER_NAME": "ci", "GIT_COMMITTER_EMAIL": "ci@localhost",
    }  # fmt: skip
    subprocess.run(["git", *words], cwd=at, check=True, env=os.environ | said, timeout=60)
