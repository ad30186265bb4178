"""What `rotate`, `revoke` and `delegate` say: which drafts changed, and whose signatures they await."""

import argparse

from ota.cli import told
from ota.cli.common import say
from ota.release import ceremony
from ota.release.folder import Folder


def changed(args: argparse.Namespace, folder: Folder, roles: tuple[str, ...]) -> int:
    """Print it; return the exit code."""
    waiting = ceremony.waiting(folder)
    said = {"changed": list(roles), "waiting": [told.standing_json(one) for one in waiting]}
    text = [f"changed: {told.short(roles)}", *told.waiting_lines(waiting)]
    say(args, said, lambda: "\n".join(text))
    return 0
