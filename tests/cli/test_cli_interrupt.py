"""Ctrl-C in the middle of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# a job in the background of a shell starts deaf to interrupts, and so would everything that it starts
HEARING = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import sim.cli; sim.cli.main()"


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals to a process group")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_nothing(root: Path, tmp_path: Path, workers: int) -> None:
    """Exit code 130, one sentence, and neither a run directory nor a temporary one."""
    out = tmp_path / "runs"
    out.mkdir()
    command = [sys.executable, "-c", HEARING, "run", str(root / "scenarios" / "glm52_fp8_16xh100.yaml")]
    command += ["--set", "run.horizon_s=1e6", "--out", str(out / "run"), "--workers", str(workers)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            time.sleep(4.0)
            assert process.poll() is None, "the run is meant to take minutes"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err.strip().endswith("interrupted: nothing was written")
    assert "Traceback" not in err
    assert not list(out.iterdir())
