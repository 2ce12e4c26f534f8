"""VGGish and PaSST on a GPU, as far as a machine without one can tell: where tensors lie, and waits."""

from __future__ import annotations

import pytest
import torch

from musiscene.networks import passt, vggish
from tests.networks.cuda_on_paper import Kernels, cuda_on_paper, on_cuda


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_vggish_stays_on_the_gpu(dtype: torch.dtype) -> None:
    """On a GPU VGGish is six convolutions and three products, and the host waits for nothing."""
    network = vggish.build()
    with cuda_on_paper():
        on_cuda(network, dtype)
        with Kernels() as kernels:
            embedded = network(torch.empty(7, 1, 96, 64, dtype=dtype, device="cuda"))
    assert (embedded.device.type, embedded.dtype, tuple(embedded.shape)) == ("cuda", dtype, (7, 128))
    assert kernels.by_name["convolution"] == 6
    assert kernels.total <= 25


def test_passt_stays_on_the_gpu() -> None:
    """On a GPU the whole transformer runs there, and the host waits for nothing."""
    network = passt.build(passt.PasstConfig(time_columns=99))
    with cuda_on_paper():
        on_cuda(network, torch.float32)
        logits = network(torch.empty(2, 128, 1000, device="cuda"))
    assert (logits.device.type, tuple(logits.shape)) == ("cuda", (2, 527))
