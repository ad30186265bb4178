"""What a look may come to, said shortly."""

from ota.trust.model import Attack, Plan, Refusal, UpToDate


def images(verdict: Plan | UpToDate | Refusal) -> dict[str, str]:
    """Return what each ECU is to hold, by serial.  Anything but a plan fails the test."""
    assert isinstance(verdict, Plan), str(verdict)
    return {one.ecu.serial: one.image.path for one in verdict.assigned}


def attack(verdict: Plan | UpToDate | Refusal) -> Attack:
    """Return what a refusal looks like.  Anything but a refusal fails the test."""
    assert isinstance(verdict, Refusal), str(verdict)
    assert verdict.sentence
    assert "\n" not in verdict.sentence
    return verdict.attack
