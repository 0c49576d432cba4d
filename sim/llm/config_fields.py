"""Typed access to the keys of a model configuration, with errors that name file, key and value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from sim.errors import ModelConfigError, shorten

# Far above any published model; catches a wrong unit or a damaged file before it becomes a plan.
_LARGEST: Final = 1 << 31


class ConfigFields:
    """One JSON object of a configuration file.

    Parameters
    ----------
    file : shown in messages.
    values : the parsed JSON.
    section : dotted name of the object inside the file; empty at the top.

    Raises
    ------
    ModelConfigError : `values` is no object.
    """

    def __init__(self, file: str, values: object, section: str = "") -> None:
        self.file, self._section = file, section
        if not isinstance(values, dict):
            place = f"{file}: {section}" if section else file
            raise ModelConfigError(f"{place}: must be a JSON object, not {shorten(values)}")
        self._values: dict[str, Any] = values

    def count(self, *keys: str, default: int | None = None, at_least: int = 1, at_most: int = _LARGEST) -> int:
        """Whole number under the first of `keys` that is present; null counts as absent.

        Raises
        ------
        ModelConfigError : absent without a default, not a whole number, or outside `at_least..at_most`.
        """
        key, value = self._find(keys)
        if value is None:
            if default is None:
                raise ModelConfigError(f"{self.file}: key {self._dotted(keys[0])!r} is missing")
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.reject(key, "must be a whole number")
        if not at_least <= value <= at_most:
            self.reject(key, f"must lie between {at_least} and {at_most}")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false under `key`.

        Raises
        ------
        ModelConfigError : the value is neither.
        """
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.reject(key, "must be true or false")
        return value

    def word(self, key: str, *, default: str | None = None) -> str:
        """Text under `key`.

        Raises
        ------
        ModelConfigError : absent without a default, or no text.
        """
        value = self._values.get(key)
        if value is None:
            if default is None:
                raise ModelConfigError(f"{self.file}: key {self._dotted(key)!r} is missing")
            return default
        if not isinstance(value, str):
            self.reject(key, "must be text")
        return value

    def words(self, key: str, *, choices: Mapping[str, object] | tuple[str, ...], length: int) -> list[str] | None:
        """List of `length` words out of `choices`, or None when absent.

        Raises
        ------
        ModelConfigError : not such a list.
        """
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            self.reject(key, f"must be a list of {length} entries")
        for entry in value:
            if not isinstance(entry, str) or entry not in choices:
                self.reject(key, f"may hold {', '.join(choices)}, not {shorten(entry)}")
        return value

    def layers(self, key: str, *, num_layers: int) -> tuple[int, ...]:
        """Distinct layer indices below `num_layers`; empty when absent.

        Raises
        ------
        ModelConfigError : not such a list.
        """
        value = self._values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int) for v in value):
            self.reject(key, "must be a list of layer indices")
        if any(not 0 <= v < num_layers for v in value):
            self.reject(key, f"may hold layers 0 to {num_layers - 1}")
        return tuple(sorted(set(value)))

    def section(self, key: str, *, inherit: tuple[str, ...] = ()) -> ConfigFields | None:
        """Nested object under `key`, or None when absent; keys of `inherit` that it lacks are taken from this object.

        Raises
        ------
        ModelConfigError : the value is no object.
        """
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, dict):
            value = {name: self._values[name] for name in inherit if name in self._values} | value
        return ConfigFields(self.file, value, self._dotted(key))

    def numbers(self, key: str) -> list[int] | None:
        """List of whole numbers under `key`, or None when absent.

        Raises
        ------
        ModelConfigError : not such a list.
        """
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int) for v in value):
            self.reject(key, "must be a list of whole numbers")
        return value

    def keys(self) -> list[str]:
        """All keys of this object."""
        return list(self._values)

    def reject(self, key: str, why: str) -> NoReturn:
        """Raise the error for one key.

        Raises
        ------
        ModelConfigError : always.
        """
        raise ModelConfigError(f"{self.file}: key {self._dotted(key)!r} {why} (value {shorten(self._values.get(key))})")

    def _find(self, keys: tuple[str, ...]) -> tuple[str, Any]:
        for key in keys:
            if self._values.get(key) is not None:
                return key, self._values[key]
        return keys[0], None

    def _dotted(self, key: str) -> str:
        return f"{self._section}.{key}" if self._section else key
