"""`--config FILE` and `--data DIR`, the same for every command."""

import argparse
from dataclasses import replace
from pathlib import Path

from fairway import config as files
from fleet_cloud.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `read` reads."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where data is kept; instead of data_dir"
    )


def read(args: argparse.Namespace) -> Config:
    """Return the settings of this run.  Raises BadInput."""
    config = files.load(Config, args.config) if args.config else Config()
    return replace(config, data_dir=args.data) if args.data else config
