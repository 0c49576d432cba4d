"""Where a file that a scenario names lies."""

from __future__ import annotations

from pathlib import Path

from sim.errors import TraceError


def input_path(name: str, base_dir: Path | None, kind: str = "file") -> Path:
    """The file beside the scenario file, else relative to the working folder.

    Parameters
    ----------
    kind : what to call it where it is missing.

    Raises
    ------
    TraceError : in neither place.
    """
    here = Path(name).expanduser()
    places = [here] if base_dir is None else [base_dir / here, here]
    try:
        return next(place for place in places if place.exists())
    except StopIteration:
        searched = "" if here.is_absolute() or base_dir is None else f" in {base_dir} or in the working folder"
        raise TraceError(f"{name}: there is no such {kind}{searched}") from None
    except OSError as error:
        raise TraceError(f"{name}: cannot be read: {error.strerror or error}") from None
