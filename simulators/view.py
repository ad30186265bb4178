"""What signal tables read: named numbers of one vehicle at one moment.

Rule 1: a table gives each message a function of the view; what it returns are all signals of that frame, as
        physical values in the unit of the database (texts of value tables as their raw numbers).
Rule 2: of a message whose content takes turns, `view.page` says whose turn it is.
"""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace


class View(SimpleNamespace):
    """Named numbers; each profile says which."""


Values = Callable[[View], Mapping[str, float]]
Table = Mapping[str, Values]
Pages = Mapping[str, Sequence[int]]
