"""Every notebook runs from top to bottom with a quick budget, and is committed without output."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
LONGEST_CELLS = 25


def test_there_are_notebooks() -> None:
    """The folder holds at least the first run and the fit."""
    assert [path.name[:2] for path in NOTEBOOKS][:2] == ["01", "02"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_short_and_carries_no_output(path: Path) -> None:
    """One question in at most 25 cells; its finding is asserted in the last; outputs are stripped."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(notebook.cells) <= LONGEST_CELLS
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "assert" in code[-1].source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the notebook machinery, not of this package
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the kernel's sockets close after the test
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # same
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell fails, and the assertions of the last cell hold."""
    monkeypatch.setenv("SIM_BUDGET", "quick")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
