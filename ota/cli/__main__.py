"""`python -m ota.cli` is `ota-release`."""

import sys

from ota.cli import main

sys.exit(main())
