"""The five errors of the house, told apart by what a caller can do about them.

    FairwayError
    |- BadInput      it will never work as given: say what, where, and what to do
    |- Unavailable   it may work later: keep the work and try again
    |- Denied        the caller may not do this
    |- Conflict      the state has moved on: read again, then decide
    '- Tampered      a signature, hash or chain does not hold: keep the evidence

Rule 1: foreign errors become one of these in the adapter that met them, raised `from` the original.
Rule 2: the message is one sentence for a person, with the value that was wrong.
"""


class FairwayError(Exception):
    """The root: a failure we understand.  Programs print it in one line and exit with 1."""


class BadInput(FairwayError):
    """What was given can never work."""


class Unavailable(FairwayError):
    """Something needed is not there now; the same request may work later."""


class Denied(FairwayError):
    """The caller is not allowed to do this."""


class Conflict(FairwayError):
    """The state has changed since the caller looked."""


class Tampered(FairwayError):
    """A signature, a hash or a chain does not hold."""
