"""The number format of a training step's matrix products."""

from contextlib import AbstractContextManager
from functools import cache

import torch

from eig_tune.models.methods import Precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Matrix products and convolutions in bfloat16 where that is asked for; weights stay fp32."""
    in_bf16 = precision == "bf16" or (precision == "auto" and multiplies_bf16(device.type))
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bf16)


@cache
def multiplies_bf16(device_type: str) -> bool:
    """Whether this machine's devices of a type have instructions for bfloat16, without which it is slower than fp32."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # as in PyTorch 2.9
        return False
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
