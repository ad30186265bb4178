"""The `vehicle-sim` command line.  One file here is one command: `add(commands)` declares it, `run` does it.

A file is loaded when its command is named: see fairway/command_line.py.
"""

from fairway.command_line import Command, Program

PROGRAM = Program(
    name="vehicle-sim",
    description="Simulated vehicles, buses and drives.",
    commands=(
        Command("body", "run door and climate control units on a bus", "simulators.cli.body"),
        Command("drive", "drive a simulated vehicle", "simulators.cli.drive"),
        Command("ecu", "run control units that answer diagnostic requests", "simulators.cli.ecu"),
        Command("record", "record a bus in a log file", "simulators.cli.record"),
        Command("replay", "play a log onto a bus", "simulators.cli.replay"),
    ),
)
parser = PROGRAM.parser
main = PROGRAM.main
