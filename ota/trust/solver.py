"""Whether the images that a vehicle would hold afterwards go together.

    what is held now + what is assigned  ->  fits, or the image that misses another or meets one it must not

Rule 1: what counts is the vehicle as it would be: an ECU that gets nothing keeps what it holds.
Rule 2: nothing is chosen here: the Director has chosen, and a set that does not fit is refused as a whole.
"""

from collections.abc import Mapping

from ota.manifest import Requirement
from ota.trust.kept import Held, refused
from ota.trust.model import Assigned, Attack


def check_fits(assigned: tuple[Assigned, ...], held: Mapping[str, Held]) -> None:
    """Raise Tampered when an assigned image misses another, or meets one that it conflicts with."""
    after = dict(held)
    for one in assigned:
        after[one.ecu.serial] = Held(one.image.name, one.image.release_counter)
    for one in assigned:
        others = [what for serial, what in after.items() if serial != one.ecu.serial]
        for need in one.image.requires:
            if not any(_meets(need, what) for what in others):
                sentence = f"it needs {_spelled(need)}, which the vehicle would not have"
                raise refused(Attack.MIX_AND_MATCH, one.image.path, sentence)
        for foe in one.image.conflicts:
            if any(_meets(foe, what) for what in others):
                sentence = (
                    f"it must not be together with {_spelled(foe)}, which the vehicle would have"
                )
                raise refused(Attack.MIX_AND_MATCH, one.image.path, sentence)


def _meets(requirement: Requirement, held: Held) -> bool:
    most = requirement.counter_max
    return (
        held.name == requirement.name
        and held.release_counter >= requirement.counter_min
        and (most is None or held.release_counter <= most)
    )


def _spelled(requirement: Requirement) -> str:
    most = requirement.counter_max
    upto = "" if most is None else f" to {most}"
    return f"{requirement.name} with release counter {requirement.counter_min}{upto}"
