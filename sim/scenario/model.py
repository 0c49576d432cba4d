"""Which model is served, and in which weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.scenario.section import Section


class ModelSection(Section):
    """The model."""

    name: Annotated[str, Field(min_length=1)]
    """Catalog name (`sim catalog models`), or the path of a Hugging Face `config.json`."""
    weights: Annotated[str, Field(min_length=1)] = "auto"
    """Weight format, such as `bf16`, `fp8_block`, `int4_g128`, `w4afp8`; `auto` is that of the configuration."""
    load_mtp: bool = False
    """Load the multi-token-prediction layers and keep their draft pool; speculative decoding does so by itself."""
    allow_approximate: bool = False
    """Accept a catalog row whose parameter count or cache is only approximate."""
