"""Images for tests and for what runs no images: folders that are there, by digest."""

from edge_agent.services.instance import Root
from fairway.errors import BadInput
from fairway.oci.model import checked_digest


class MemoryImages:
    """Knows the images that it is given."""

    def __init__(self, *roots: Root) -> None:
        self.roots = {root.digest: root for root in roots}

    async def root(self, digest: str) -> Root:
        if checked_digest(digest) not in self.roots:
            raise BadInput(f"the image {digest} is not in this vehicle: load it first")
        return self.roots[digest]

    async def collect(self, keep: frozenset[str]) -> int:
        self.roots = {digest: root for digest, root in self.roots.items() if digest in keep}
        return 0
