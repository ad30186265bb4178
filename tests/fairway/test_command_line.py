import argparse
import os
import sys

import pytest

from fairway import command_line
from fairway.errors import BadInput


def parser(run: command_line.Run) -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="tool")
    root.set_defaults(run=run)
    return root


def say_much(_: argparse.Namespace) -> int:
    print("a line\n" * 10_000)
    return 0


def say_little(_: argparse.Namespace) -> int:
    print("a line")
    return 0


def fail(_: argparse.Namespace) -> int:
    raise BadInput("that cannot be")


def test_an_error_of_ours_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert command_line.run(parser(fail), []) == 1
    assert capsys.readouterr().err == "tool: that cannot be\n"


@pytest.mark.parametrize("say", [say_much, say_little])
def test_output_onto_a_full_disk_is_one_sentence(say, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"))

    assert command_line.run(parser(say), []) == 1
    assert capsys.readouterr().err == "tool: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("say", [say_much, say_little])
def test_a_reader_that_has_read_enough_ends_the_command_in_silence(say, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))

    assert command_line.run(parser(say), []) == 1
    assert capsys.readouterr().err == ""
