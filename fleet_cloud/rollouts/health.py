"""How vehicles do that hold the new version, by a query over the last values that they sent since.

Rule 1: a vehicle of which a signal of the query is not known since it committed is neither well nor ill.
"""

from collections.abc import Iterable, Mapping

from fleet_cloud.control.query import Value, names, parse
from fleet_cloud.rollouts.decide import Health

# More vehicles than that make no better guess, and cost the telemetry store a question each.
SAMPLE_MAX = 400


def health(query: str, values: Iterable[Mapping[str, Value]]) -> Health:
    """Return how many of some vehicles are well."""
    test, wanted = parse(query), names(query)
    well = ill = unknown = 0
    for known in values:
        if not wanted <= known.keys():
            unknown += 1
        elif test(known):
            well += 1
        else:
            ill += 1
    return Health(well, ill, unknown)
