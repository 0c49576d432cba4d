"""Read a Hugging Face `config.json` into a `ModelSpec`."""

from __future__ import annotations

import json
from pathlib import Path

from sim.errors import ModelConfigError, nearest
from sim.llm.config_families import FAMILIES
from sim.llm.config_fields import ConfigFields
from sim.llm.spec import ModelSpec


def read_config(path: str | Path) -> ModelSpec:
    """Shape of the model that a configuration describes.

    Parameters
    ----------
    path : a `config.json`, or a folder that contains one.

    Raises
    ------
    ModelConfigError : the file is missing, is no JSON object, lacks a key, holds a value that cannot be, or describes a
        family that is not known. The message names the file and the key.

    Checked: the exact parameter counts of the zoo come out of 14 published configurations.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "config.json"
    values = ConfigFields(str(file), _load(file))
    inner = values.section("text_config", inherit=("quantization_config",))
    family = values.word("model_type")
    if family not in FAMILIES and inner is not None:
        # Multimodal wrappers (Kimi-K2.5) keep the language model in a section of its own.
        values, family = inner, inner.word("model_type")
    if family not in FAMILIES:
        close = nearest(family, FAMILIES)
        hint = f"; did you mean {close!r}?" if close else ""
        raise ModelConfigError(f"{file}: model_type {family!r} is not known; known: {', '.join(FAMILIES)}{hint}")
    return FAMILIES[family](values)


def _load(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelConfigError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ModelConfigError(f"{file}: is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ModelConfigError(f"{file}: is not valid JSON (line {error.lineno}: {error.msg})") from None
    except ValueError as error:
        raise ModelConfigError(f"{file}: cannot be read as JSON ({error})") from None
    except RecursionError:
        raise ModelConfigError(f"{file}: is nested too deeply to be a model configuration") from None
