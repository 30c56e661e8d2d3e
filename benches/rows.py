"""One line of the table of results."""

from dataclasses import dataclass


@dataclass
class Row:
    """`good` is None where there is nothing to pass."""

    budget: str
    limit: str
    ours: str
    nginx: str = ""
    ratio: str = ""
    good: bool | None = None
