"""The Python that runs this becomes a small root file system, the same each time."""

import importlib.util
import marshal
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from fairway.errors import BadInput
from fairway.oci.tar import Kind
from ota.images import members, python_root
from ota.images.members import Member


@pytest.fixture(scope="module")
def python() -> dict[str, Member]:
    return {os.fsdecode(one.entry.name): one for one in python_root.python(epoch_s=0)}


def test_it_has_the_interpreter_and_what_it_needs_and_no_more(python: dict[str, Member]):
    assert python["usr/bin/python3"].entry.kind is Kind.SYMLINK
    assert python[python_root.PROGRAM[1:]].entry.mode == 0o755
    assert f"{python_root.LIBRARY}/asyncio/events.py" in python
    assert any(name.endswith("/libc.so.6") for name in python)
    assert any("/ld-linux" in name or "/ld-musl" in name for name in python)
    for absent in (
        "test/",
        "idlelib",
        "ensurepip",
        "lib2to3",
        "site-packages/",
        "config-",
        "tkinter",
    ):
        assert not [
            name for name in python if f"/{absent}" in name.removeprefix(python_root.LIBRARY)
        ], absent


def test_folders_where_things_are_mounted_are_there(python: dict[str, Member]):
    for name in ("proc", "sys", "dev", "run/ecu", "tmp"):
        assert python[name].entry.kind is Kind.FOLDER
    assert python["tmp"].entry.mode == 0o1777


def test_modules_are_compiled_beside_their_sources_and_not_checked_again(python: dict[str, Member]):
    source = python[f"{python_root.LIBRARY}/json/__init__.py"].content
    tag = sys.implementation.cache_tag
    code = python[f"{python_root.LIBRARY}/json/__pycache__/__init__.{tag}.pyc"].content

    assert isinstance(source, Path)
    assert isinstance(code, bytes)
    assert code[:4] == importlib.util.MAGIC_NUMBER
    assert code[4:8] == b"\1\0\0\0"  # by hash, and not to be checked
    assert code[8:16] == importlib.util.source_hash(source.read_bytes())
    loaded = marshal.loads(code[16:])
    assert isinstance(loaded, types.CodeType)
    assert loaded.co_filename == f"/{python_root.LIBRARY}/json/__init__.py"


def test_what_is_compiled_does_not_depend_on_the_process(tmp_path: Path):
    (tmp_path / "m.py").write_text(
        "A = {'x', 'y', 'z'}\ndef f(a):\n  return a in {'p', 'q', 'r', 's'}\n"
    )
    code = (
        "import sys, json, asyncio; from pathlib import Path\n"
        "from ota.images.python_root import _compiled\n"
        "print(_compiled('m.py', Path(sys.argv[1])).hex())\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "m.py")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "7")
    }

    assert said == {python_root._compiled("m.py", tmp_path / "m.py").hex() + "\n"}


def test_a_package_brings_what_it_requires_and_no_tests_or_stubs():
    names = {os.fsdecode(one.entry.name) for one in python_root.packages(["grpcio"], epoch_s=0)}

    assert f"{python_root.PACKAGES}/grpc/__init__.py" in names
    assert f"{python_root.PACKAGES}/typing_extensions.py" in names  # required
    assert any(
        name.endswith("/libstdc++.so.6") for name in names
    )  # needed, and not by Python itself
    assert not any(name.endswith(("/libc.so.6", ".pyi", "/RECORD", "/INSTALLER")) for name in names)


def test_a_name_is_the_same_however_it_is_spelt():
    one = [member.entry.name for member in python_root.packages(["typing_extensions"], epoch_s=0)]

    assert [
        member.entry.name for member in python_root.packages(["Typing.Extensions"], epoch_s=0)
    ] == one


def test_a_package_that_is_not_here_is_refused():
    with pytest.raises(BadInput, match="'no-such-package' is not installed here"):
        python_root.packages(["no-such-package"], epoch_s=0)


def test_modules_of_an_application_are_compiled_for_where_they_go(tmp_path: Path):
    (tmp_path / "main.py").write_text("print(1)\n")
    (tmp_path / "broken.py").write_text("print(\n")
    listed = members.members(members.Folder(tmp_path, "/app"), epoch_s=5)

    found = {os.fsdecode(one.entry.name): one for one in python_root.compiled(listed, epoch_s=5)}

    tag = sys.implementation.cache_tag
    assert list(found) == [
        "app", "app/__pycache__", f"app/__pycache__/main.{tag}.pyc", "app/broken.py", "app/main.py",
    ]  # fmt: skip
    assert found[f"app/__pycache__/main.{tag}.pyc"].entry.mtime_s == 5


def test_compiled_modules_go_beside_their_sources_wherever_this_python_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "main.py").write_text("print(1)\n")
    listed = list(members.members(members.Folder(tmp_path, "/app"), epoch_s=5))
    usual = [one.entry for one in python_root.compiled(listed, epoch_s=5)]

    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))

    assert [one.entry for one in python_root.compiled(listed, epoch_s=5)] == usual
