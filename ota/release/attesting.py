"""What is looked at before a key signs: are these the bytes that were built, and who vouches for it.

Rule 1: what lies here is compared with its hash; large bytes may lie elsewhere (a person's machine has only the
        folder from git), the build's statement may not.
Rule 2: a bundle whose build nobody vouches for is not signed: CI vouches when it signs.
"""

from collections.abc import Callable, Iterable

from securesystemslib.signer import Key

from fairway.errors import Denied, Tampered
from ota.custom import bundle_from_json, own_blob
from ota.manifest import Bundle, Image, Kind
from ota.release import provenance
from ota.release.folder import Folder
from ota.release.keys import Holder, TufSigner, holder_of
from ota.release.listing import Listed, attest, in_metadata, listed
from ota.release.roles import current, keys_of, parent_of

Progress = Callable[[str], None]


def vouch(folder: Folder, key: TufSigner, now_ns: int) -> None:
    """Vouch for all bundles in drafts for which no key of their role does.  Raises BadInput, Tampered.

    CI does that; a person only in a role that CI has no part in.
    """
    known = listed(folder)
    for one in known.values():
        if one.image.kind is not Kind.BUNDLE or not one.is_draft:
            continue
        keys = keys_of(current(folder, parent_of(folder, one.role)), one.role)[0]
        if key.keyid not in keys or _stands(folder, one, keys.values()):
            continue
        builders = [each for each in keys.values() if holder_of(each) is Holder.CI] or keys.values()
        if key.keyid not in {each.keyid for each in builders}:
            continue
        bundle = bundle_of(folder, one.image)
        for sha256 in bundle.provenance_sha256:
            said = folder.need_document(sha256)
            provenance.compared(said, images_of(bundle, known))
            document = folder.put_document(provenance.enveloped(said, key))
            attest(folder, one, document.sha256, now_ns)


def _stands(folder: Folder, one: Listed, keys: Iterable[Key]) -> bool:
    """Whether a key that is still in the role vouches for a bundle."""
    trusted = list(keys)
    try:
        for sha256 in one.attestations:
            provenance.vouched(folder.need_document(sha256), trusted)
    except Tampered:
        return False
    return bool(one.attestations)


def look(folder: Folder, role: str, progress: Progress) -> None:
    """Compare what a draft lists anew with what was built.  Raises Tampered, Denied, BadInput."""
    draft, before = folder.draft(role), folder.latest(role)
    assert draft is not None
    old = (
        {}
        if before is None
        else {one.image.path: one for one in in_metadata(role, before, is_draft=False)}
    )
    known: dict[str, Listed] | None = None
    for one in in_metadata(role, draft, is_draft=True):
        if old.get(one.image.path) == Listed(
            role, one.image, is_draft=False, attestations=one.attestations
        ):
            continue
        progress(f"{one.image.path}: compared")
        compare_bytes(folder, one.image)
        if one.image.kind is Kind.BUNDLE:
            known = listed(folder) if known is None else known
            compare_build(folder, one, known)


def compare_bytes(folder: Folder, image: Image) -> None:
    """Compare those bytes of an image that lie here with their hashes.  Raises Tampered."""
    for blob in (own_blob(image), *(source.blob for source in image.sources)):
        if folder.blob_path(blob.sha256).exists():
            folder.need_blob(blob)


def compare_build(folder: Folder, one: Listed, known: dict[str, Listed]) -> Bundle:
    """Compare a bundle with the statement of its build.  Raises Denied when nobody vouches for it, Tampered."""
    bundle = bundle_of(folder, one.image)
    keys = keys_of(current(folder, parent_of(folder, one.role)), one.role)[0].values()
    said = {provenance.vouched(folder.need_document(sha256), keys) for sha256 in one.attestations}
    if not said:
        raise Denied(
            f"nobody vouches for the build of {one.image.path}: CI signs first (`ota-release sign`)"
        )
    named = {folder.need_document(sha256) for sha256 in bundle.provenance_sha256}
    if said != named:
        raise Tampered(f"{one.image.path} names another build than the one that is vouched for")
    for statement in said:
        provenance.compared(statement, images_of(bundle, known))
    return bundle


def bundle_of(folder: Folder, image: Image) -> Bundle:
    """Return the document of an image of kind bundle.  Raises BadInput, Tampered."""
    return bundle_from_json(folder.need_document(image.sha256), file=image.path)


def images_of(bundle: Bundle, known: dict[str, Listed]) -> list[Image]:
    """Return the images of a bundle.  Raises Tampered when one is not listed."""
    missing = [path for path in bundle.images if path not in known]
    if missing:
        raise Tampered(
            f"bundle {bundle.name} {bundle.version} has {missing[0]}, which no role lists"
        )
    return [known[path].image for path in bundle.images]
