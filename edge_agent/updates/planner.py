"""From what the vehicle is to hold to an order: which images, in which order, and how their bytes are had.

    Plan + what the ECUs hold + Means > Order | Nothing | Failed

Rule 1: an order is one unit: all of it comes into force, or none; groups say what is activated side by side.
Rule 2: ECUs that overwrite what they run come last, when everything else has already gone well.
Rule 3: a difference is taken only against the base that is here, and if the vehicle can apply it.  Over a
        metered link nothing grows in silence: where a difference was offered and does not fit here, the whole
        image needs permission, and all of it has to fit into the budget.
Rule 4: what failed in an ECU of this vehicle is never tried there again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.updates.acts import Failed
from edge_agent.updates.order import Kept, Order, Task
from fairway.update import Fault, Stage
from ota.manifest import Blob, Form, Image, Source
from ota.trust.model import Assigned, Plan

_MIB = 1 << 20
# Chunk lists, records and what others write meanwhile.
DISK_MARGIN_BYTES = 16 * _MIB
WHOLE = frozenset({Form.PLAIN, Form.ZSTD})
# After these an order may come again, if the cloud has signed it anew; the others are for good.
PASSING = frozenset(
    {Fault.NETWORK, Fault.BUDGET, Fault.STORAGE, Fault.CONDITION, Fault.TIME, Fault.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class Means:
    """What the vehicle has to offer at this moment."""

    forms: frozenset[Form] = WHOLE
    memory_max_bytes: int = 256 * _MIB  # for applying a difference
    disk_free_bytes: int | None = None  # None: nobody knows
    is_metered: bool = False
    budget_bytes: int | None = None  # what may be taken over a metered link; None: any number
    may_fetch_whole: bool = False  # over a metered link, where a difference does not fit
    single_bank: frozenset[str] = frozenset()  # serials of ECUs that overwrite what they run
    bases: frozenset[str] = frozenset()  # SHA-256 of what is here to apply differences to


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is to be done."""

    sentence: str
    stage: Stage | None = None  # None: nobody needs to be told


@dataclass(frozen=True, slots=True)
class _Choice:
    source: Source
    would_grow: bool  # a difference was offered, and the whole image is what is left
    why: list[str] = field(default_factory=list)


def order_of(
    plan: Plan, held: Mapping[str, str], kept: Kept, means: Means, *, now_ns: int
) -> Order | Nothing | Failed:
    """Return what is to be done; `held`: what each ECU holds, by serial, "" where it does not say."""
    action = plan.action or f"director-{plan.director_version}"
    if (is_known := _known(action, plan, kept)) is not None:
        return is_known
    wanted = [one for one in plan.assigned if held.get(one.ecu.serial) != one.image.sha256]
    if not wanted:
        return Nothing("every ECU holds what it is to hold", Stage.COMMITTED)
    for one in wanted:
        bad = kept.bad_of(one.ecu.serial, one.image.sha256)
        if bad is not None:
            return Failed(
                Fault.INSTALL,
                f"{one.image.name} {bad.version} failed in {bad.serial} before ({bad.why}): "
                "it is not tried again; release another version",
                bad.serial,
            )
    choices = {
        one.ecu.serial: _choice(one.image, held.get(one.ecu.serial, ""), means) for one in wanted
    }
    if (
        refused := _too_dear(wanted, choices, means) or _too_large(wanted, choices, means)
    ) is not None:
        return refused
    tasks = tuple(
        Task(
            one,
            choices[one.ecu.serial].source,
            held.get(one.ecu.serial, ""),
            is_single_bank=one.ecu.serial in means.single_bank,
        )
        for one in sorted(wanted, key=lambda one: _rank(one, means))
    )
    return Order(action, token_of(action, plan), plan.director_version, tasks, since_ns=now_ns)


def token_of(action: str, plan: Plan) -> str:
    """Return the name of an order in files and slots: short, another one if what it installs changes.

    The Director signs the same order again and again, before it expires: that is the same order.
    """
    images = sorted(f"{one.ecu.serial}={one.image.sha256}" for one in plan.assigned)
    text = "\n".join([action, *images])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _known(action: str, plan: Plan, kept: Kept) -> Nothing | None:
    for one in reversed(kept.done):
        if one.action != action:
            continue
        if one.stage is Stage.COMMITTED and one.director_version == plan.director_version:
            return Nothing(f"{action} is done")
        if one.stage is Stage.COMMITTED:
            return None
        if one.fault in PASSING and plan.director_version > one.director_version:
            return None
        return Nothing(f"{action} ended here: {one.sentence}")
    return None


def _rank(one: Assigned, means: Means) -> tuple[bool, int, str, str]:
    install = one.image.install
    return one.ecu.serial in means.single_bank, install.order, install.group, one.ecu.serial


def whole(image: Image) -> Source:
    """Return an image's own bytes as a source."""
    for one in image.sources:
        if one.form is Form.PLAIN:
            return one
    return Source(Form.PLAIN, Blob(image.sha256, image.length))


def _choice(image: Image, held_sha256: str, means: Means) -> _Choice:
    """Return the shortest way to an image's bytes that can be gone here."""
    offered = [*(one for one in image.sources if one.form is not Form.PLAIN), whole(image)]
    why: list[str] = []
    possible = []
    for one in offered:
        reason = _unfit(one, held_sha256, means)
        if reason:
            why.append(reason)
        else:
            possible.append(one)
    best = min(possible, key=lambda one: (one.blob.length, one.memory_bytes))
    had_difference = any(one.form not in WHOLE for one in offered)
    return _Choice(best, had_difference and best.form in WHOLE, why)


def _unfit(source: Source, held_sha256: str, means: Means) -> str:
    """Return why a source is none here, "" when it is one."""
    if source.form is Form.PLAIN:
        return ""
    return _beyond(source, means) or _baseless(source, held_sha256, means)


def _beyond(source: Source, means: Means) -> str:
    if source.form not in means.forms:
        return f"{source.form} cannot be applied in this vehicle"
    if source.memory_bytes > means.memory_max_bytes:
        return (
            f"{source.form} takes {source.memory_bytes // _MIB} MiB of memory, "
            f"and {means.memory_max_bytes // _MIB} MiB may be used"
        )
    return ""


def _baseless(source: Source, held_sha256: str, means: Means) -> str:
    if source.form in WHOLE:
        return ""
    if source.base_sha256 != held_sha256:
        return f"the {source.form} is against another version than the one that is here"
    if source.base_sha256 not in means.bases:
        return f"the bytes of the version that is here cannot be read, so no {source.form} applies"
    return ""


def _too_dear(
    wanted: list[Assigned], choices: Mapping[str, _Choice], means: Means
) -> Failed | None:
    if not means.is_metered:
        return None
    for one in wanted:
        choice = choices[one.ecu.serial]
        if choice.would_grow and not means.may_fetch_whole:
            return Failed(
                Fault.BUDGET,
                f"{one.image.name} {one.image.version} would be fetched whole ({choice.source.blob.length} "
                f"bytes) over a metered link: {'; '.join(choice.why)}",
                one.ecu.serial,
            )
    total = sum(choices[one.ecu.serial].source.blob.length for one in wanted)
    if means.budget_bytes is not None and total > means.budget_bytes:
        return Failed(
            Fault.BUDGET,
            f"the update takes {total} bytes, and {means.budget_bytes} are left on this metered link",
        )
    return None


def _too_large(
    wanted: list[Assigned], choices: Mapping[str, _Choice], means: Means
) -> Failed | None:
    """Refuse before anything is fetched what the disk has no room for."""
    if means.disk_free_bytes is None:
        return None
    need = DISK_MARGIN_BYTES
    for one in wanted:
        source = choices[one.ecu.serial].source
        need += source.blob.length + (0 if source.form is Form.PLAIN else one.image.length)
    if need <= means.disk_free_bytes:
        return None
    return Failed(
        Fault.STORAGE,
        f"the update needs {need} bytes of room to be fetched, and {means.disk_free_bytes} are free",
    )
