"""What the commands say of roles, images and differences, for people and for machines."""

from dataclasses import asdict
from typing import Any

import ota.tuf_library  # noqa: F401 - first, so that it loads without the signers of all clouds
from ota.manifest import Image
from ota.release import ceremony
from ota.release.differences import Outcome
from ota.release.roles import Standing

MIB = 1 << 20


def standing_json(one: Standing) -> dict[str, Any]:
    """Return how far a draft has come."""
    return {
        "role": one.role,
        "version": one.version,
        "signatures": len(one.by),
        "threshold": one.threshold,
        "complete": one.is_complete,
        "by": [each.label for each in one.by],
        "may_sign": [each.label for each in one.missing],
        "sentence": one.sentence,
    }


def image_json(image: Image) -> dict[str, Any]:
    """Return what an image is."""
    said = asdict(image)
    return {key: value for key, value in said.items() if value not in ("", (), {}, None)}


def image_line(image: Image) -> str:
    """Return an image in one line."""
    ways = ", ".join(
        f"{one.form} {one.blob.length}" for one in image.sources if one.form != "plain"
    )
    return (
        f"{image.path}  {image.kind}  counter {image.release_counter}  {image.length} bytes"
        f"  sha256 {image.sha256[:16]}" + (f"  ({ways})" if ways else "")
    )


def signed_json(outcome: ceremony.Outcome) -> dict[str, Any]:
    """Return what signing did."""
    return {
        "key": outcome.label,
        "signed": list(outcome.signed),
        "complete": list(outcome.accepted),
        "waiting": [standing_json(one) for one in outcome.waiting],
    }


def signed_text(outcome: ceremony.Outcome) -> str:
    """Return what signing did; bins are counted, not listed."""
    lines = [f"{outcome.label} signed {short(outcome.signed)}"]
    if outcome.accepted:
        lines.append(f"complete: {short(outcome.accepted)}; next: ota-release timestamp")
    return "\n".join([*lines, *waiting_lines(outcome.waiting)])


def waiting_lines(waiting: tuple[Standing, ...]) -> list[str]:
    """Return a line for each draft; bins that wait for the same are one line."""
    lines: dict[tuple[str, ...], list[Standing]] = {}
    for one in waiting:
        who = (str(one.threshold), *(each.keyid for each in (*one.by, *one.missing)))
        kind = one.role if "-bin-" not in one.role else one.role.split("-bin-")[0] + "-bin"
        lines.setdefault((kind, *who, str(len(one.by))), []).append(one)
    return [ones[0].sentence + _more(len(ones) - 1) for ones in lines.values()]


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def short(roles: tuple[str, ...]) -> str:
    """Return names of roles; more than a handful are counted."""
    shown = ", ".join(roles[:5])
    return shown if len(roles) <= 5 else f"{shown} and {len(roles) - 5} more"


def delta_json(outcome: Outcome) -> dict[str, Any]:
    """Return what became of differences."""
    kept = {source.form for source in outcome.kept}
    return {
        "image": outcome.image.path,
        "base": outcome.base.path,
        "full_bytes": outcome.full_bytes,
        "made": [
            {
                "form": one.form,
                "bytes": one.length,
                "memory_bytes": one.memory_bytes,
                "memory_measured_bytes": one.took.memory_bytes,
                "apply_cpu_s": round(one.took.cpu_s, 3),
                "kept": one.form in kept,
            }
            for one in outcome.made
        ],
        "left_out": [{"form": one.form, "why": one.sentence} for one in outcome.left],
    }


def delta_text(outcome: Outcome) -> str:
    """Return what became of differences."""
    lines = [f"{outcome.image.path} from {outcome.base.path}: {outcome.full_bytes} bytes without"]
    for one in outcome.made:
        is_kept = any(source.form is one.form for source in outcome.kept)
        share = one.length / outcome.full_bytes
        lines.append(
            f"  {one.form:<20} {one.length:>12} bytes ({share:.1%})  {one.memory_bytes / MIB:.0f} MiB to apply"
            f"  {one.took.cpu_s:.2f} s  {'kept' if is_kept else 'not worth it'}"
        )
    return "\n".join([*lines, *(f"  {one.form:<20} {one.sentence}" for one in outcome.left)])
