"""Which image of an index runs here."""

from fairway.errors import BadInput
from fairway.oci.model import Descriptor, Index, Platform

# What kernels call a machine, in the words of images.
_MACHINES = {
    "x86_64": Platform("linux", "amd64"),
    "aarch64": Platform("linux", "arm64"),
    "armv7l": Platform("linux", "arm", "v7"),
    "armv6l": Platform("linux", "arm", "v6"),
    "riscv64": Platform("linux", "riscv64"),
    "i686": Platform("linux", "386"),
}
# A variant that is not said; older ones of 32-bit ARM run on newer machines.
_DEFAULTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


def of_machine(machine: str) -> Platform:
    """Return the platform of a machine as `uname -m` has it."""
    return _MACHINES.get(machine, Platform("linux", machine))


def runs_on(image: Platform, here: Platform) -> bool:
    """Whether what is made for `image` runs on `here`."""
    if (image.os, image.architecture) != (here.os, here.architecture):
        return False
    wanted, there = _variant(image), _variant(here)
    return wanted <= there if image.architecture in {"arm", "amd64"} else wanted == there


def choose(index: Index, here: Platform) -> Descriptor:
    """Return the entry that runs on `here`: the nearest variant, then the first.  Raises BadInput."""
    fitting = [
        one for one in index.manifests if one.platform is None or runs_on(one.platform, here)
    ]
    if not fitting:
        there = ", ".join(sorted({str(one.platform) for one in index.manifests})) or "nothing"
        raise BadInput(f"no image in this index runs on {here}: it has {there[:200]}")
    return max(fitting, key=lambda one: (one.platform is not None, _variant(one.platform or here)))


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULTS.get(platform.architecture, "")
