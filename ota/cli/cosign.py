"""`ota-release cosign`: the hand of a person."""

import argparse

from ota.cli.sign import declare
from ota.release.keys import Holder


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    declare(commands.add_parser("cosign", help="sign as a person, after CI"), Holder.PERSON)
