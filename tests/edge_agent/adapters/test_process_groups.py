"""Control groups of both versions, where they are mounted and what is written to them."""

from pathlib import Path

import pytest

from edge_agent.adapters.cgroups import Groups, Mode
from edge_agent.adapters.process_groups import ProcessGroups
from edge_agent.services.runtime import Usage
from fairway.errors import Unavailable
from fairway.services.model import MIB, Resources


def test_a_machine_without_control_groups_limits_nothing():
    groups = ProcessGroups("fairway", Groups(Mode.V1, {}))

    assert not any((groups.is_there, groups.memory, groups.cpu, groups.pids))
    assert groups.usage("x.0") is None
    assert groups.remove("x.0")


def unified(root: Path) -> ProcessGroups:
    names = ("memory", "cpu", "pids")
    for folder in (root, root / "fairway"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").write_text("")
    return ProcessGroups("fairway", Groups(Mode.V2, {}, root, frozenset(names)))


def test_the_limits_of_version_2_are_written_as_it_wants_them(tmp_path: Path):
    groups = unified(tmp_path)

    files = groups.make("x.0", Resources(memory_max_bytes=48 * MIB, cpu_max=0.2, pids_max=9))

    at = tmp_path / "fairway" / "x.0"
    assert files == [at / "cgroup.procs"]
    assert (at / "memory.max").read_text() == str(48 * MIB)
    assert (at / "memory.swap.max").read_text() == "0"
    assert (at / "cpu.max").read_text() == "20000 100000"
    assert (at / "pids.max").read_text() == "9"


def test_what_is_used_is_read_from_version_2(tmp_path: Path):
    groups = unified(tmp_path)
    groups.make("x.0", Resources())
    at = tmp_path / "fairway" / "x.0"
    (at / "cpu.stat").write_text("usage_usec 1500\nuser_usec 1000\n")
    (at / "memory.current").write_text("9000\n")
    (at / "memory.stat").write_text("anon 1\ninactive_file 1000\n")
    (at / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (at / "pids.current").write_text("3\n")

    assert groups.usage("x.0") == Usage(1_500_000, 8000, 3, 1)


def test_a_group_that_cannot_be_made_is_unavailable(tmp_path: Path):
    groups = unified(tmp_path)
    (tmp_path / "fairway" / "x.0").write_text("a file is in the way")

    with pytest.raises(Unavailable, match="control group of x.0"):
        groups.make("x.0", Resources())
