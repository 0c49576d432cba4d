"""Which GPUs, in which nodes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.scenario.section import Section


class HardwareSection(Section):
    """The hardware of every node."""

    gpu: Annotated[str, Field(min_length=1)] = "h100-sxm-80gb"
    """GPU of the catalog (`sim catalog gpus`)."""
    node: Annotated[str, Field(min_length=1)] = "auto"
    """Node type of the catalog; `auto` is the usual one for the GPU."""
