"""Units: the suffixes that names carry, and the conversions between them.

Time is float seconds everywhere in the core. Every quantity that crosses a function or a file boundary carries one of
`UNIT_SUFFIXES` at the end of its name; counts of things are plain plurals.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
TIB: Final = 1024**4
GB: Final = 1_000_000_000
TERA: Final = 1e12

MICROSECOND: Final = 1e-6
MILLISECOND: Final = 1e-3
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
DAY_H: Final = 24.0
YEAR_H: Final = 8760.0
YEAR_S: Final = YEAR_H * HOUR_S
MONTH_H: Final = 730.0

MILLION: Final = 1_000_000

UNIT_SUFFIXES: Final[tuple[str, ...]] = (
    "_s",
    "_ms",
    "_us",
    "_h",
    "_days",
    "_years",
    "_tokens",
    "_bytes",
    "_gib",
    "_tib",
    "_gb",
    "_gb_per_s",
    "_rps",
    "_w",
    "_kw",
    "_usd",
    "_usd_per_h",
    "_usd_per_kwh",
    "_usd_per_kw_month",
    "_usd_per_year",
    "_usd_per_mtok",
    "_frac",
    "_per_1000_node_days",
)


def has_unit(name: str) -> bool:
    """Whether a key names its unit by one of `UNIT_SUFFIXES`."""
    return name.endswith(UNIT_SUFFIXES)
