"""What the command lines of all programs have in common.

Exit codes: 0 done, 1 a failure we understand (one sentence on standard error), 2 a wrong command line.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from fairway.errors import FairwayError

Run = Callable[[argparse.Namespace], int]


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse `argv`, run the chosen command (`set_defaults(run=...)`) and translate errors once."""
    args = parser.parse_args(argv)
    command: Run | None = getattr(args, "run", None)
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code = command(args)
        sys.stdout.flush()
    except FairwayError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # whoever read has read enough
        _drop_output()
        return 1
    except OSError as error:  # where our output goes, the disk is full
        _drop_output()
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 1
    return code


def _drop_output() -> None:
    """Let go of what could not be written, or Python complains about it once more at the end."""
    with suppress(OSError):
        sys.stdout.close()
