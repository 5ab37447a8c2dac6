"""Which device and which precision: asked for once, checked once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmccd.core import UsageError

PRECISIONS = ("auto", "fp32", "bf16")
ALL_CUDA = "cuda:all"


def choose_device(name: str = "auto") -> torch.device:
    """The device of a run.

    Args:
        name: ``auto`` (CUDA, else Apple's MPS, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.

    Raises:
        UsageError: an unknown name, or a device that this machine does not have.
    """
    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"--device {name}: unknown; expected auto, cpu, cuda, cuda:N or mps",
            code="usage.device",
        ) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(
            f"--device {name}: not supported; expected auto, cpu, cuda, cuda:N or mps",
            code="usage.device",
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use"
            " --device auto or cpu",
            code="usage.device",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            "--device mps: this machine has no MPS device; use --device auto or cpu",
            code="usage.device",
        )
    return device


def choose_devices(names: str = "auto") -> tuple[torch.device, ...]:
    """The devices that share the slices of a volume.

    Args:
        names: one device as for :func:`choose_device`, several CUDA devices separated by commas
            (``cuda:0,cuda:1``), or ``cuda:all``.

    Raises:
        UsageError: see :func:`choose_device`; several devices that are not all different CUDA
            devices; ``cuda:all`` on a machine that has none.
    """
    if names == ALL_CUDA:
        if not torch.cuda.device_count():
            raise UsageError(
                f"--device {names}: this machine has no CUDA device; use --device auto or cpu",
                code="usage.device",
            )
        return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))
    devices = tuple(choose_device(name) for name in names.split(","))
    if len(devices) > 1 and (
        len(set(devices)) < len(devices)
        or any(device.type != "cuda" or device.index is None for device in devices)
    ):
        raise UsageError(
            f"--device {names}: expected different CUDA devices with their numbers, such as"
            f" cuda:0,cuda:1, or {ALL_CUDA}",
            code="usage.device",
        )
    return devices


def describe_devices(devices: Sequence[torch.device]) -> str:
    """The devices as a user would name them: ``cuda:0,cuda:1``."""
    return ",".join(str(device) for device in devices)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is done in hardware: CUDA from Ampere on, CPUs with AVX-512 BF16 or AMX.
    Elsewhere it is emulated and slow.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_precision(name: str, device: torch.device) -> str:
    """``fp32`` or ``bf16`` from ``auto``, ``fp32`` or ``bf16``.

    Raises:
        UsageError: an unknown name.
    """
    if name not in PRECISIONS:
        raise UsageError(
            f"precision {name!r}: unknown; expected one of {', '.join(PRECISIONS)}",
            code="usage.precision",
        )
    if name == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    return name


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast on the device, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


class AutocastInferer:
    """Run another inferer under autocast on any device and return float32 (MONAI's ``amp`` knows
    CUDA only).

    Args:
        inferer: what to run.
        device: device of the tensors.
        precision: ``auto``, ``fp32`` or ``bf16``.
    """

    def __init__(
        self, inferer: Callable[..., Tensor], device: torch.device | str, precision: str = "auto"
    ) -> None:
        self.inferer = inferer
        self.device = torch.device(device)
        self.precision = choose_precision(precision, self.device)

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """As the inner inferer."""
        with autocast(self.device, self.precision):
            result = self.inferer(inputs, network, *args, **kwargs)
        return result.float()
