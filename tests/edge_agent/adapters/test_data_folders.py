"""Folders of data, and the limits of what is in them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.adapters import data_folders
from edge_agent.services.instance import Instance
from fairway.errors import Unavailable
from fairway.services.model import Data, Service

UID = 731_500


def instance(*folders: Path, max_bytes: int = 1 << 16, uid: int = UID) -> Instance:
    data = tuple(
        (folder, Data(f"/data{number}", max_bytes)) for number, folder in enumerate(folders)
    )
    return Instance(
        "tyres.0123456789ab", Service("tyres", "1.0.0"), None, uid, Path("/nowhere"), data
    )


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders to others")


def test_a_folder_belongs_to_its_service_alone(tmp_path: Path):
    need_root()
    folder = tmp_path / "deep" / "data"

    data_folders.make(instance(folder))
    data_folders.make(
        instance(folder, uid=UID + 1)
    )  # it has another user since the settings were changed

    assert (folder.stat().st_uid, folder.stat().st_gid) == (UID + 1, UID + 1)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_in_a_folder_stays(tmp_path: Path):
    need_root()
    data_folders.make(instance(tmp_path / "data"))
    (tmp_path / "data" / "x").write_text("kept")

    data_folders.make(instance(tmp_path / "data"))

    assert (tmp_path / "data" / "x").read_text() == "kept"


@pytest.mark.parametrize("what", ["file", "link"])
def test_what_is_no_folder_is_not_given_away(tmp_path: Path, what: str):
    if what == "file":
        (tmp_path / "data").touch()
    else:
        (tmp_path / "data").symlink_to("/etc")

    with pytest.raises(Unavailable, match="cannot be a folder of data"):
        data_folders.make(instance(tmp_path / "data"))
    assert Path("/etc").stat().st_uid == 0


def test_what_is_in_a_folder_is_measured_without_what_it_links_to(tmp_path: Path):
    (tmp_path / "one").write_bytes(bytes(100_000))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two").write_bytes(bytes(50_000))
    (tmp_path / "link").symlink_to("/usr")

    assert 150_000 <= data_folders.used_bytes(tmp_path) < 250_000
    assert data_folders.used_bytes(tmp_path / "nowhere") == 0


async def test_a_folder_over_its_limit_is_told_where_nothing_holds_it(tmp_path: Path):
    need_root()
    service = instance(tmp_path / "small", tmp_path / "large")
    data_folders.make(service)
    (tmp_path / "small" / "x").write_bytes(bytes(1000))
    (tmp_path / "large" / "x").write_bytes(bytes(100_000))

    if data_folders.is_limited(tmp_path / "large", UID):
        pytest.skip("this disk holds the service to its limit by itself")
    (said,) = await data_folders.warnings(service)

    assert said.startswith("/data1 has ")
    assert "of 65536" in said


def test_a_disk_with_project_quotas_holds_a_service_to_its_limit(tmp_path: Path):
    need_root()
    disk, at = tmp_path / "disk", tmp_path / "at"
    at.mkdir()
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    maker = shutil.which("mkfs.ext4") or pytest.skip("mkfs.ext4 is not here")
    quotas = ("-O", "quota,project", "-E", "quotatype=prjquota")
    subprocess.run([maker, "-q", *quotas, disk], check=True)
    mounted = subprocess.run(
        ["mount", "-o", "loop,prjquota", disk, at], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this kernel has no project quotas")
    try:
        service = instance(at / "data", max_bytes=1 << 20)
        data_folders.make(service)
        assert data_folders.is_limited(at / "data", UID)
        with (at / "data" / "x").open("wb", buffering=0) as file:
            os.seteuid(UID)
            written = sum(file.write(bytes(1 << 16)) for _ in range(16))
            with pytest.raises(OSError):
                file.write(bytes(1 << 16))
        assert written <= 1 << 20
    finally:
        os.seteuid(0)
        subprocess.run(["umount", "--lazy", at], check=True)
