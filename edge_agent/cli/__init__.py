"""The `edge-agent` command line.  One file here is one command: `add(commands)` declares it, `run` does it.

A file is loaded when its command is named: see fairway/command_line.py.
"""

from fairway.command_line import Command, Program

PROGRAM = Program(
    name="edge-agent",
    description="The Fairway agent in the vehicle.",
    commands=(
        Command(
            "campaign",
            "try campaigns on recorded drives, or ask the running agent about its own",
            "edge_agent.cli.campaign",
        ),
        Command("decode", "print the signal values of a log", "edge_agent.cli.decode"),
        Command("enroll", "get this vehicle its certificate", "edge_agent.cli.enroll"),
        Command(
            "lint-dbc",
            "read bus databases and list what is odd about them",
            "edge_agent.cli.lint_dbc",
        ),
        Command("run", "collect signals and deliver them to the cloud", "edge_agent.cli.run"),
        Command(
            "services",
            "run services in the vehicle, and see what they do",
            "edge_agent.cli.services",
        ),
        Command("signals", "look at the vehicle's data and act on it", "edge_agent.cli.signals"),
        Command("token", "issue or explain a token of an on-board app", "edge_agent.cli.token"),
        Command(
            "updates",
            "see how updates stand, accept, decline or postpone one",
            "edge_agent.cli.updates",
        ),
    ),
)
parser = PROGRAM.parser
main = PROGRAM.main
