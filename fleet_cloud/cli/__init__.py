"""The `fleet-cloud` command line.  One file here is one command: `add(commands)` declares it, `run` does it.

A file is loaded when its command is named: see fairway/command_line.py.
"""

from fairway.command_line import Command, Program

PROGRAM = Program(
    name="fleet-cloud",
    description="The Fairway cloud for a fleet of vehicles.",
    commands=(
        Command(
            "serve", "run the whole cloud: broker, ingest, stores, API", "fleet_cloud.cli.serve"
        ),
        Command("ingest", "run ingest alone, beside others", "fleet_cloud.cli.ingest"),
        Command("vehicle", "add, list and remove vehicles", "fleet_cloud.cli.vehicle"),
        Command(
            "campaign", "make, approve, start and follow campaigns", "fleet_cloud.cli.campaign"
        ),
        Command(
            "service", "have services run in vehicles, and follow them", "fleet_cloud.cli.service"
        ),
        Command("image", "keep images of services for vehicles to fetch", "fleet_cloud.cli.image"),
        Command("release", "what is published for vehicles", "fleet_cloud.cli.release"),
        Command(
            "rollout",
            "roll releases out to vehicles, and keep the record of it",
            "fleet_cloud.cli.rollout",
        ),
        Command(
            "claim",
            "credentials of factory images: each enrols the vehicles of its list, once",
            "fleet_cloud.cli.claim",
        ),
        Command(
            "enrolment",
            "who was enrolled; approve and reject replacements",
            "fleet_cloud.cli.enrolment",
        ),
        Command("pki", "the fleet's root and its issuing authorities", "fleet_cloud.cli.pki"),
        Command("broker", "rules for a broker that somebody else runs", "fleet_cloud.cli.broker"),
        Command("key", "make, list and revoke API keys", "fleet_cloud.cli.key"),
        Command("user", "add, list and remove people who sign in here", "fleet_cloud.cli.user"),
        Command(
            "token", "print a token for somebody who can sign in here", "fleet_cloud.cli.token"
        ),
        Command("audit", "who did what; export and verify the record", "fleet_cloud.cli.audit"),
    ),
)
parser = PROGRAM.parser
main = PROGRAM.main
