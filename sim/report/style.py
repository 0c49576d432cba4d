"""How all pictures look: colours that colour-blind readers tell apart, markers as well, units on every axis.

Pictures for the page are drawn in `INK` on nothing, and `svg_text` turns that ink into the page's own text colour, so
that they read on a light and on a dark page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from sim.errors import RunDirectoryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# petroff6 (Petroff 2021, arXiv 2107.02270): made for readers with any colour vision
COLOURS: Final = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES: Final = ("-", "--", "-.", ":", (0, (3, 1, 1, 1)))
INK: Final = "#1b1f23"
FAINT: Final = "#8a929a"
BAND: Final = 0.18
DPI: Final = 160

_RC: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.7,
    "lines.markersize": 5.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "moe-capacity-sim",
    "savefig.dpi": DPI,
}


@contextmanager
def drawn(rows: int = 1, columns: int = 1, **options: Any) -> Iterator[tuple[Figure, list[Any]]]:
    """A figure and its axes in house style, closed afterwards; nothing global is touched."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(cast("Any", _RC)):
        figure = Figure(layout="constrained", **options.pop("figure", {}))
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
        yield figure, [axis for row in axes for axis in row]


def line_style(index: int) -> dict[str, Any]:
    """Colour, marker and line of one series; no two of them rest on colour alone."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def svg_text(figure: Figure, name: str, label: str) -> str:
    """The figure as an inline SVG element, the same bytes every time.

    Parameters
    ----------
    name : prefix of the ids inside, unique on the page.
    label : what the picture shows, for those who cannot see it.
    """
    stream = StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = _own_ids(text, name).replace(INK, "currentColor")
    text = re.sub(r'\s(width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"\s+xmlns(:xlink)?=\"[^\"]*\"", "", text).replace("xlink:href", "href")
    return text.replace("<svg", f'<svg role="img" aria-label="{_escaped(label)}"', 1).strip()


def save(figure: Figure, path: Path) -> None:
    """Write the figure in the format of the file's ending, the same bytes every time.

    Raises
    ------
    RunDirectoryError : the file cannot be written, or its ending is no picture format.
    """
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lower().lstrip(".") not in known:
        raise RunDirectoryError(f"{path}: is no picture format; valid endings: {', '.join(known)}")
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, facecolor="white", metadata=metadata)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be written: {error.strerror or error}") from None


def _own_ids(text: str, name: str) -> str:
    """Keep the ids that something refers to, under the picture's own prefix; drop all others."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))

    def kept(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r'\sid="([^"]*)"', kept, text)
    return re.sub(r'(url\(#|href="#)', rf"\1{name}-", text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
