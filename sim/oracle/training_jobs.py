"""Meta's formulas for large training jobs, for comparison with the figures that they published."""

from __future__ import annotations

from sim.oracle.checks import positive


def job_mttf_h(gpus: int, faults_per_node_day: float, gpus_per_node: int = 8) -> float:
    """Mean time to failure of a job on so many GPUs, if every fault of a node ends it.

    Sources
    -------
    Kokolis et al. (arXiv 2410.21680). Checked at 6.5e-3: 1,024 GPUs 28.84615 h, 16,384 1.802884615 h, 131,072
    0.2253605769 h.
    """
    positive(gpus=gpus, faults_per_node_day=faults_per_node_day, gpus_per_node=gpus_per_node)
    return 24.0 / (gpus / gpus_per_node * faults_per_node_day)


def effective_time_frac(faults_per_h: float, restart_h: float, checkpoint_h: float, write_h: float) -> float:
    """Expected share of effective training time of a job.

    Parameters
    ----------
    faults_per_h : of the whole job.
    restart_h : time until it runs again.
    checkpoint_h : time between checkpoints, of which half is lost at a fault.
    write_h : time to write one.

    Sources
    -------
    (1 - rate (u0 + dt / 2)) / (1 + w / dt), arXiv 2410.21680. Checked: 2,048 nodes at 6.5e-3 a day, u0 = w = 1/12 h,
    dt = 1 h: 0.6244102564.
    """
    positive(faults_per_h=faults_per_h, checkpoint_h=checkpoint_h)
    return (1.0 - faults_per_h * (restart_h + checkpoint_h / 2.0)) / (1.0 + write_h / checkpoint_h)
