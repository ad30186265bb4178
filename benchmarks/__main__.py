"""`make bench`: every number of docs/reference/performance.md, each beside its peer.

python -m benchmarks [NAME ...]     NAME is a module of this folder; all of them without

Modules whose names begin with an underscore are parts of benchmarks.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

from benchmarks.report import Row, table


def main(names: list[str]) -> int:
    """Run the named benchmarks (all by default) and print one table."""
    here = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    known = [name for name in here if name != "report" and not name.startswith("_")]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no benchmark is called {unknown[0]}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or known:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").run()
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
