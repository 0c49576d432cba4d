"""From the length sections to length laws."""

from __future__ import annotations

from pathlib import Path

from sim.scenario.lengths import (
    ConstantLength,
    EmpiricalLength,
    Length,
    LognormalLength,
    QuantilesFile,
    QuantilesLength,
    UniformLength,
)
from sim.simulation.input_path import input_path
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.empirical import Empirical, QuantileTable
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.lengths.quantile_file import read_quantiles
from sim.workload.lengths.uniform import Uniform


def length_law(section: Length, base_dir: Path | None = None) -> LengthLaw:
    """The law that a section describes.

    Parameters
    ----------
    base_dir : folder of the scenario file, where a relative path is looked for first.

    Raises
    ------
    ScenarioError : parameters that describe no law, with a key relative to the section.
    TraceError : a file of quantiles cannot be read.
    """
    match section:
        case ConstantLength():
            return Constant(section.tokens)
        case LognormalLength():
            return Lognormal(
                section.median_tokens, section.sigma, section.min_tokens, section.max_tokens, section.truncation
            )
        case QuantilesLength():
            return QuantileTable(section.probabilities, section.tokens)
        case QuantilesFile():
            return read_quantiles(input_path(section.path, base_dir), section.column)
        case EmpiricalLength():
            return Empirical(section.tokens, section.weights)
    return _uniform(section)


def _uniform(section: UniformLength) -> LengthLaw:
    if section.nominal_tokens is not None and section.range_ratio is not None:
        return Uniform(section.nominal_tokens, 1 - section.range_ratio, 1 + section.range_ratio)
    assert section.min_tokens is not None, "the schema asks for one form or the other"
    assert section.max_tokens is not None, "the schema asks for both bounds"
    return Uniform.between(section.min_tokens, section.max_tokens)
