"""Shared libraries are found as the loader finds them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from ota.images import elf

PROGRAM = Path(sys.executable).resolve()


def test_a_program_needs_what_the_loader_loads_for_it():
    said = subprocess.run(["ldd", str(PROGRAM)], check=True, capture_output=True, text=True).stdout
    loaded = {Path(word).name: Path(word) for word in said.split() if word.startswith("/")}

    found = elf.closure([PROGRAM])

    both = {**found.libraries, **{Path(name).name: path for name, path in found.loaders.items()}}
    assert {name: path.resolve() for name, path in both.items()} == {
        name: path.resolve() for name, path in loaded.items()
    }
    assert found.missing == {}


def test_a_library_that_is_nowhere_is_told_with_who_needs_it(tmp_path: Path):
    data = bytearray(PROGRAM.read_bytes())
    at = data.index(b"libc.so.6\0")
    data[at : at + 9] = b"libz!.so."
    (tmp_path / "program").write_bytes(data)

    assert elf.closure([tmp_path / "program"]).missing["libz!.so."] == tmp_path / "program"


def test_what_is_no_elf_file_is_refused(tmp_path: Path):
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "empty").touch()

    assert not elf.is_elf(tmp_path / "script")
    for name in ("script", "empty"):
        with pytest.raises(BadInput, match="no ELF file"):
            elf.binary(tmp_path / name)


@given(st.data())
def test_a_broken_file_is_refused_with_a_sentence(tmp_path_factory, data: st.DataObject):
    path = tmp_path_factory.mktemp("elf") / "broken"
    content = bytearray(PROGRAM.read_bytes()[: data.draw(st.integers(1, 5000))])
    for _ in range(data.draw(st.integers(0, 20))):
        content[data.draw(st.integers(0, min(len(content) - 1, 900)))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content)

    try:
        elf.binary(path)
    except BadInput as error:
        assert str(error)  # noqa: PT017
