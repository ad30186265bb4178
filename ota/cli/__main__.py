import sys

from ota.cli import main

sys.exit(main())
