"""Control groups, as each layout shows them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters import cgroups
from edge_agent.adapters.cgroups import Groups, Mode, parsed
from edge_agent.services.runtime import Usage
from fairway.errors import Unavailable

ROOT = "1 0 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
V1 = (
    "30 26 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory\n"
    "31 26 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 26 0:29 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids\n"
    "33 26 0:30 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd\n"
)


def tree(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def v2(folder: Path, controls: str = "cpu memory pids") -> Groups:
    tree(folder, {"cgroup.controllers": controls + "\n"})
    return parsed(ROOT + f"26 25 0:23 / {folder} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")


def test_hierarchies_of_v1_are_told_by_controller():
    groups = parsed(ROOT + V1)

    assert groups.mode is Mode.V1
    assert groups.where("memory") == Path("/sys/fs/cgroup/memory")
    assert groups.where("cpu") == groups.where("cpuacct") == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert groups.where("hugetlb") is None
    assert len(list(groups.roots())) == 4


def test_the_unified_hierarchy_alone_is_v2(tmp_path: Path):
    groups = v2(tmp_path)

    assert groups.mode is Mode.V2
    assert groups.where("memory") == tmp_path
    assert list(groups.roots()) == [tmp_path]


def test_both_are_hybrid_and_each_controller_is_where_it_is(tmp_path: Path):
    tree(tmp_path, {"cgroup.controllers": "hugetlb\n"})
    unified = f"27 26 0:24 / {tmp_path} rw,nosuid - cgroup2 cgroup2 rw\n"

    groups = parsed(ROOT + V1 + unified)

    assert groups.mode is Mode.HYBRID
    assert groups.where("hugetlb") == tmp_path
    assert groups.where("pids") == Path("/sys/fs/cgroup/pids")


def test_a_kernel_without_groups_is_told():
    with pytest.raises(Unavailable, match="no control groups"):
        parsed(ROOT)


def test_what_a_group_takes_is_read_under_v2(tmp_path: Path):
    groups = v2(tmp_path)
    tree(
        tmp_path / "fairway" / "tyres",
        {
            "memory.current": "5000000\n",
            "memory.stat": "anon 100\ninactive_file 2000000\n",
            "memory.events": "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n",
            "cpu.stat": "usage_usec 1234\nuser_usec 1000\n",
            "pids.current": "3\n",
        },
    )

    assert cgroups.usage(groups, "/fairway/tyres") == Usage(1_234_000, 3_000_000, 3, 2)


def test_what_a_group_takes_is_read_under_v1(tmp_path: Path):
    names = ("memory", "cpuacct", "pids")
    groups = Groups(Mode.V1, {name: tmp_path / name for name in names})
    tree(
        tmp_path,
        {
            "memory/t/memory.usage_in_bytes": "5000000\n",
            "memory/t/memory.stat": "inactive_file 1\ntotal_inactive_file 1000000\n",
            "memory/t/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "cpuacct/t/cpuacct.usage": "77\n",
            "pids/t/pids.current": "3\n",
        },
    )

    assert cgroups.usage(groups, "/t") == Usage(77, 4_000_000, 3, 1)


def test_a_group_that_is_not_there_takes_nothing_that_is_known(tmp_path: Path):
    groups = v2(tmp_path)

    with pytest.raises(Unavailable, match="/fairway/gone"):
        cgroups.usage(groups, "/fairway/gone")
    assert cgroups.out_of_memory_kills(groups, "/fairway/gone") is None
    assert cgroups.children(groups, "/fairway/gone") == set()


def test_a_parent_with_processes_of_its_own_can_hold_no_limits_under_v2(tmp_path: Path):
    groups = v2(tmp_path)
    tree(tmp_path / "agent.service", {"cgroup.type": "domain\n", "cgroup.procs": "1\n"})
    tree(tmp_path / "empty.slice", {"cgroup.type": "domain\n", "cgroup.procs": ""})
    tree(tmp_path, {"cgroup.procs": "1\n2\n"})

    with pytest.raises(
        Unavailable, match=r"agent\.service has processes of its own: let cgroup_parent"
    ):
        cgroups.check_parent(groups, "/agent.service/fairway/0123")
    cgroups.check_parent(groups, "/empty.slice/fairway/0123")
    cgroups.check_parent(groups, "/fairway/0123")  # below the root of all


def test_a_namespace_is_not_the_root_of_all(tmp_path: Path):
    groups = v2(tmp_path)
    tree(tmp_path, {"cgroup.type": "domain\n", "cgroup.procs": "1\n"})

    with pytest.raises(Unavailable):
        cgroups.check_parent(groups, "/fairway/0123")


def test_a_machine_where_nobody_counts_processes_says_so(tmp_path: Path):
    groups = v2(tmp_path, controls="cpu memory")
    tree(tmp_path / "t", {"cpu.stat": "usage_usec 1\n", "memory.current": "1\n"})

    with pytest.raises(Unavailable, match="nobody counts pids"):
        cgroups.usage(groups, "/t")


def test_garbage_in_a_counter_is_not_a_number(tmp_path: Path):
    groups = v2(tmp_path)
    tree(
        tmp_path / "t",
        {"cpu.stat": "usage_usec\n", "memory.current": "many\n", "pids.current": "1\n"},
    )

    with pytest.raises(Unavailable):
        cgroups.usage(groups, "/t")


async def test_a_group_is_removed_with_all_that_runs_in_it():
    groups = cgroups.look()
    name = f"/fairway-test-{os.getpid()}"
    root = groups.where("pids")
    if os.geteuid() != 0 or root is None:
        pytest.skip("a control group can be made by root alone")
    inner = root / name[1:] / "inner"
    inner.mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    try:
        (inner / "cgroup.procs").write_text(str(child.pid))
        assert cgroups.pids(groups, name) == {child.pid}
        assert cgroups.holds(f"{name}/inner", child.pid)
        assert not cgroups.holds(name, child.pid)
        assert cgroups.children(groups, name) == {"inner"}

        await cgroups.remove(groups, name)

        assert not inner.parent.exists()
        assert child.wait() == -9
    finally:
        child.kill()
        child.wait()
        await cgroups.remove(groups, name)
