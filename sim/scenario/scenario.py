"""A whole scenario: validated, frozen, and able to say where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr

from sim.scenario.disaggregation import Deployment
from sim.scenario.hardware import HardwareSection
from sim.scenario.model import ModelSection
from sim.scenario.operations import OperationName, OperationSection
from sim.scenario.pricing import Pricing
from sim.scenario.reliability import Reliability
from sim.scenario.router import RouterSection
from sim.scenario.run import RunSection
from sim.scenario.section import Section
from sim.scenario.slo import SloSection
from sim.scenario.workload import WorkloadSection


class Scenario(Section):
    """One question to the simulator: a model on hardware under a load.

    Build one with `sim.load(path)`, change it with `scenario.with_({"run.seed": 2})`.
    """

    description: Annotated[str, Field(max_length=2000)] = ""
    """What question the scenario answers."""
    model: ModelSection
    hardware: HardwareSection = HardwareSection()
    deployment: Deployment = Deployment()
    workload: WorkloadSection
    router: RouterSection = RouterSection()
    reliability: Reliability = Reliability()
    operations: dict[OperationName, OperationSection] | None = None
    """Planned work by name; without the section, the upgrades of the catalog, with an empty one, none."""
    slo: SloSection = SloSection()
    pricing: Pricing = Pricing()
    run: RunSection = RunSection()

    _file: str = PrivateAttr(default="")
    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def name(self) -> str:
        """Stem of the file it was read from, or `scenario`."""
        return Path(self._file).stem if self._file else "scenario"

    @property
    def file(self) -> str:
        """The file it was read from; empty for one built in code."""
        return self._file

    @property
    def base_dir(self) -> Path | None:
        """Folder against which relative paths in the scenario are resolved first; None for one built in code."""
        return Path(self._file).parent if self._file else None

    def with_(self, changes: Mapping[str, Any]) -> Self:
        """A copy with other values, validated again.

        Parameters
        ----------
        changes : dotted key to value; a mapping replaces the whole section at its key, None removes the key.

        Raises
        ------
        ScenarioError : an unknown key or a value that is not valid.
        """
        from sim.scenario.load import changed

        return changed(self, changes)

    def resolved(self) -> dict[str, Any]:
        """All keys with their values, defaults filled in; plain data."""
        return self.model_dump(mode="json", by_alias=True)

    def digest(self) -> str:
        """Hash of the resolved scenario and of the content of the files it names; equal scenarios are equal runs."""
        text = json.dumps(self.resolved(), sort_keys=True, separators=(",", ":"))
        hasher = hashlib.blake2b(text.encode(), digest_size=16)
        for path in self.input_files():
            hasher.update(hashlib.blake2b(path.read_bytes(), digest_size=16).digest())
        return hasher.hexdigest()

    def input_files(self) -> list[Path]:
        """Files that the scenario names and that exist: a model configuration, a trace, expert histograms."""
        named = [self.model.name]
        named += [name for source in self.workload.sources.values() for name in source.files()]
        named += self.deployment.expert_imbalance.histograms
        named += self.deployment.engine_files
        found = (self.locate(name) for name in dict.fromkeys(named))
        return [path for path in found if path.is_file()]

    def locate(self, name: str) -> Path:
        """The path that a name in the scenario stands for: beside the scenario file first, then as given."""
        if self.base_dir is not None and (beside := self.base_dir / name).exists():
            return beside
        return Path(name)
