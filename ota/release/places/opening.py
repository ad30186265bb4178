"""Opens a place by its name: https://..., s3://..., or a folder."""

from pathlib import Path

from fairway.errors import BadInput
from ota.release.places.cloud import Access, CloudPlace
from ota.release.places.folder import FolderPlace
from ota.release.places.s3 import S3Place
from ota.release.ports import Place


def open_place(name: str, access: Access | None) -> Place:
    """Return the place called `name`.  Raises BadInput for what is none, or for a cloud without a key."""
    scheme, colon, rest = name.partition("://")
    if not colon:
        return FolderPlace(Path(name))
    match scheme:
        case "s3":
            return S3Place(name)
        case "file":
            return FolderPlace(Path(rest))
        case "http" | "https":
            if access is None:
                raise BadInput(f"{name} wants to know who asks: name --token-file")
            return CloudPlace(name, access)
        case _:
            raise BadInput(f"{name!r:.120} is no place: name https://..., s3://... or a folder")
