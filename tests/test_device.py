"""Devices and precisions: asked for, checked, refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmccd.device import AutocastInferer, autocast, choose_device, choose_precision, has_fast_bf16
from mmccd.errors import UsageError


def test_auto_is_a_device_of_this_machine() -> None:
    assert torch.zeros(1, device=choose_device("auto")).sum() == 0


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta", "tpu:0"])
def test_unknown_or_missing_devices_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        choose_device(name)


def test_precision() -> None:
    device = torch.device("cpu")
    assert choose_precision("fp32", device) == "fp32"
    assert choose_precision("bf16", device) == "bf16"
    assert choose_precision("auto", device) == ("bf16" if has_fast_bf16(device) else "fp32")
    with pytest.raises(UsageError, match="fp16"):
        choose_precision("fp16", device)


@pytest.mark.parametrize(("precision", "inner"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_inferer_returns_float32(precision: str, inner: torch.dtype) -> None:
    layer = torch.nn.Linear(4, 4)
    seen = []

    def infer(inputs: Tensor, network: torch.nn.Module) -> Tensor:
        seen.append(network(inputs).dtype)
        return network(inputs)

    result = AutocastInferer(infer, "cpu", precision)(torch.ones(2, 4), layer)
    assert seen == [inner]
    assert result.dtype == torch.float32


def test_no_autocast_in_fp32() -> None:
    with autocast(torch.device("cpu"), "fp32"):
        assert not torch.is_autocast_enabled("cpu")
