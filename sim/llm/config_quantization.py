"""Which weight format a configuration declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sim.llm.config_fields import ConfigFields


def native_weights(values: ConfigFields) -> str:
    """Name of the weight format (of `sim.llm.formats`) of a checkpoint, from `quantization_config`.

    Raises
    ------
    ModelConfigError : a scheme that the catalog has no byte counts for.
    """
    scheme = values.section("quantization_config")
    if scheme is None:
        return "bf16"
    method = scheme.word("quant_method")
    if method not in _READERS:
        scheme.reject("quant_method", f"must be one of {', '.join(_READERS)}")
    return _READERS[method](scheme)


def _fp8(scheme: ConfigFields) -> str:
    if scheme.numbers("weight_block_size") != [128, 128]:
        scheme.reject("weight_block_size", "must be [128, 128]; other FP8 schemes have no byte counts here")
    return "fp8_block"


def _modelopt(scheme: ConfigFields) -> str:
    if scheme.word("quant_algo") != "NVFP4":
        scheme.reject("quant_algo", "must be NVFP4")
    return "nvfp4"


def _grouped_int4(scheme: ConfigFields) -> str:
    return _int4(scheme, scheme.count("bits", "w_bit"), scheme.count("group_size", "q_group_size"), "bits")


def _compressed_tensors(scheme: ConfigFields) -> str:
    groups = scheme.section("config_groups")
    if groups is None or not groups.keys():
        return scheme.reject("config_groups", "must name at least one group")
    group = groups.section(groups.keys()[0])
    weights = group.section("weights") if group is not None else None
    if weights is None:
        return groups.reject(groups.keys()[0], "must describe its weights")
    bits, size = weights.count("num_bits"), weights.count("group_size", default=0)
    if weights.word("type", default="int") == "float":
        return "nvfp4" if (bits, size) == (4, 16) else weights.reject("num_bits", "must be 4 with group_size 16")
    return _int4(weights, bits, size, "num_bits")


def _int4(scheme: ConfigFields, bits: int, group_size: int, key: str) -> str:
    if bits != 4 or group_size not in (32, 128):
        scheme.reject(key, f"must be 4 in groups of 32 or 128, not {bits} in groups of {group_size}")
    return f"int4_g{group_size}"


_READERS: Final[Mapping[str, Callable[[ConfigFields], str]]] = MappingProxyType(
    {
        "fp8": _fp8,
        "mxfp4": lambda _: "mxfp4",
        "w4afp8": lambda _: "w4afp8",
        "modelopt": _modelopt,
        "compressed-tensors": _compressed_tensors,
        "gptq": _grouped_int4,
        "awq": _grouped_int4,
    }
)
