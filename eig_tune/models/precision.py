"""The number format of a training step's matrix products."""

from contextlib import AbstractContextManager

import torch

from eig_tune.models.methods import Precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Matrix products and convolutions in bfloat16 where that is asked for; weights stay fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
