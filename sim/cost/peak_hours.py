"""Hours of the week in which a provider asks its peak price."""

from __future__ import annotations

from typing import Final

_HOURS: Final = 24
_DAYS: Final = 7


def week_share(hours_utc: str, days: str) -> float:
    """Share of a week that is peak time.

    Parameters
    ----------
    hours_utc : ranges `first-end` of hours, separated by blanks; the end is not included.
    days : one range `first-end` of weekdays, Monday being 0; the end is not included.

    Checked: 35 of 168 hours for `1-4 6-10` on `0-5`.
    """
    peak_hours = sum(_length(part) for part in hours_utc.split())
    return peak_hours * _length(days) / (_HOURS * _DAYS)


def _length(part: str) -> int:
    first, end = part.split("-")
    return int(end) - int(first)
