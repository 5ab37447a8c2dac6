"""mmccd.models.device: names of devices and precisions, and autocast on any device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mmccd.apps.cli import cli
from mmccd.core.errors import UsageError
from mmccd.models.device import (
    AutocastInferer,
    autocast,
    choose_device,
    choose_devices,
    choose_precision,
    describe_devices,
    has_fast_bf16,
)

CPU = torch.device("cpu")


def test_auto_is_what_the_machine_has() -> None:
    expected = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    assert choose_device().type == expected
    assert choose_device("auto").type == expected


def test_auto_prefers_cuda_then_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device().type == "mps"


def test_cpu() -> None:
    assert choose_device("cpu") == CPU


def test_number_of_a_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    "name", ["", "gpu", "banana", "cuda:", "cuda:x", "cuda:99", "meta", "xla", "cpu cpu"]
)
def test_what_is_no_device_here(name: str) -> None:
    with pytest.raises(UsageError) as error:
        choose_device(name)
    assert f"--device {name}" in str(error.value)
    assert error.value.exit_code == 2


class TestSeveralDevices:
    """A machine with three CUDA devices, and one without."""

    @pytest.fixture
    def three(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            ("cuda:all", ["cuda:0", "cuda:1", "cuda:2"]),
            ("cuda:2,cuda:0", ["cuda:2", "cuda:0"]),
            ("cuda:1", ["cuda:1"]),
            ("cuda", ["cuda"]),
            ("cpu", ["cpu"]),
        ],
    )
    def test_names(self, three: None, names: str, expected: list[str]) -> None:
        devices = choose_devices(names)
        assert devices == tuple(torch.device(name) for name in expected)
        assert describe_devices(devices) == ",".join(expected)

    @pytest.mark.parametrize(
        "names",
        [
            "cuda:0,cuda:0",
            "cuda:0,cpu",
            "cpu,cpu",
            "cuda,cuda:1",
            "cuda:0,",
            "cuda:0,cuda:3",
            "cuda:all,cuda:0",
        ],
    )
    def test_refuses(self, three: None, names: str) -> None:
        with pytest.raises(UsageError, match="--device"):
            choose_devices(names)

    def test_all_of_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        with pytest.raises(UsageError, match="no CUDA device"):
            choose_devices("cuda:all")

    def test_the_command_line_keeps_the_comma(self) -> None:
        """Fire would make a tuple of it."""
        values = cli.form("predict").parse(["flair.nii.gz", "--device", "cuda:0,cuda:1"])
        assert values["settings"].device == "cuda:0,cuda:1"


def test_mps_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="mps"):
        choose_device("mps")


def test_bf16_on_cuda_needs_ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not has_fast_bf16(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert has_fast_bf16(torch.device("cuda"))
    assert not has_fast_bf16(torch.device("mps"))


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "fp32")])
def test_precision(monkeypatch: pytest.MonkeyPatch, fast: bool, expected: str) -> None:
    monkeypatch.setattr("mmccd.models.device.has_fast_bf16", lambda device: fast)
    assert choose_precision("auto", CPU) == expected
    assert choose_precision("fp32", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"
    with pytest.raises(UsageError, match="fp16"):
        choose_precision("fp16", CPU)


def test_autocast() -> None:
    layer = nn.Linear(4, 4)
    with autocast(CPU, "fp32"):
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    with autocast(CPU, "bf16"):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("precision", "inside"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_inferer(precision: str, inside: torch.dtype) -> None:
    """The inner inferer works in the precision asked for; what comes out is float32."""
    seen: list[torch.dtype] = []

    def inner(inputs: Tensor, network: nn.Module, scale: float) -> Tensor:
        result: Tensor = network(inputs) * scale
        seen.append(result.dtype)
        return result

    layer = nn.Linear(4, 4)
    inputs = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    found = AutocastInferer(inner, "cpu", precision)(inputs, layer, scale=2.0)
    assert seen == [inside]
    assert found.dtype == torch.float32
    assert torch.allclose(found, 2 * layer(inputs), atol=0.05)
