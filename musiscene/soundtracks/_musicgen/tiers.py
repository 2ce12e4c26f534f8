"""Which MusicGen, in which precision, and how many soundtracks at once: decided by the memory that is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musiscene.errors import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")

_NEEDED_GB = {"large": 12.0, "medium": 7.0, "small": 3.0}
"""Free memory of a GPU with which a size makes four soundtracks of 30 s at once in half precision, and some to spare:
3.3, 1.5 and 0.3 billion numbers, four times two rows of memory, and the codec."""

_SPARE = 0.8
"""Share of the free memory that a batch may plan with; the rest is for what comes and goes."""

_CODEC_BYTES = 200e6
"""What decoding takes for each row."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute with.

    Attributes:
        device: "cuda", "mps" or "cpu".
        free_gb: Memory that is free there; None when unknown.
        bfloat16: Whether it computes in bfloat16 natively.
        int8: Whether PyTorch has integer kernels for its processor.
    """

    device: str
    free_gb: float | None = None
    bfloat16: bool = False
    int8: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """What was decided.

    Attributes:
        device: Where the language model runs.
        codec_device: Where EnCodec runs.
        precision: One of `PRECISIONS`, "auto" resolved.
        reason: Why, in words.
    """

    device: str
    codec_device: str
    precision: str
    reason: str


def choose_size(here: Sequence[str], machine: Machine) -> tuple[str, str]:
    """The published size to use where none was named, and why.

    Args:
        here: Names of the weights on this machine, as "musicgen-medium".
        machine: What there is to compute with.
    """
    sizes = [size for size in ("small", "medium", "large") if f"musicgen-{size}" in here]
    if not sizes:
        return "musicgen-small", "the smallest, which runs anywhere"
    if machine.device == "cpu":
        return f"musicgen-{sizes[0]}", f"{sizes[0]}: the quickest of those here, on a processor"
    free = machine.free_gb
    fitting = [size for size in sizes if free is None or free >= _NEEDED_GB[size]]
    if not fitting:
        return f"musicgen-{sizes[0]}", f"{sizes[0]}: the smallest of those here; {free:.1f} GB free is little"
    known = "" if free is None else f" that fits into {free:.1f} GB of free memory"
    return f"musicgen-{fitting[-1]}", f"{fitting[-1]}: the largest here{known}"


def choose_tier(machine: Machine, precision: str = "auto") -> Tier:
    """Devices and precision.

    Raises:
        ConfigError: The precision is none, or cannot be had on this machine.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"{precision!r} is no precision for MusicGen: choose {', '.join(PRECISIONS)}.")
    if machine.device == "cuda":
        if precision == "int8":
            raise ConfigError("MusicGen computes in eight bits on a processor only; leave its precision at auto here.")
        if precision == "auto":
            precision = "bfloat16" if machine.bfloat16 else "float16"
            return Tier("cuda", "cuda", precision, f"CUDA, {precision}: half the memory to read at each step")
        return Tier("cuda", "cuda", precision, f"CUDA, {precision}: asked for")
    if precision == "int8" and not machine.int8:
        raise ConfigError("This PyTorch has no integer kernels for this processor; leave MusicGen's precision at auto.")
    if precision == "float16" and machine.device == "cpu":
        raise ConfigError("A processor computes poorly in float16; choose auto, bfloat16 or int8 for MusicGen.")
    if machine.device == "mps" and precision != "int8":
        chosen = "float32" if precision == "auto" else precision
        return Tier(
            "mps", "cpu", chosen, f"Apple GPU, {chosen}; EnCodec on the processor, since its sound is garbled on MPS"
        )
    why = "the precision of the published figures" if precision == "auto" else "asked for"
    chosen = "float32" if precision == "auto" else precision
    return Tier("cpu", "cpu", chosen, f"processor, {chosen}: {why}")


_NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
"""What PyTorch says on a processor (Linux, Windows), CUDA, MPS, and in the names of cuBLAS's and cuDNN's errors."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which PyTorch often says by a plain `RuntimeError`."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def rows_at_once(free_bytes: float | None, bytes_per_row: float, wanted: int) -> tuple[int, str]:
    """How many soundtracks fit into the free memory, and why not all; at least one.

    Args:
        free_bytes: None when unknown.
        bytes_per_row: What a soundtrack's memory takes, its counterpart without text included.
        wanted: How many there are.
    """
    if free_bytes is None:
        return wanted, ""
    fit = max(1, int(free_bytes * _SPARE / (bytes_per_row + _CODEC_BYTES)))
    if fit >= wanted:
        return wanted, ""
    return fit, f"{free_bytes / 1e9:.1f} GB of memory is free, enough for {fit} of {wanted} soundtracks at once"
