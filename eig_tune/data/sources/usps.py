"""USPS: scanned digits of envelopes as text, in the form of libsvm.

Each line has a label from 1 to 10 and 256 pairs ``index:value`` with values from -1 to 1 (Hull 1994).
"""

import bz2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.sources.base import Part, Published, first_with, not_whole
from eig_tune.data.sources.digits import TEN_DIGITS

_FILES: dict[Part, str] = {"train": "usps.bz2", "test": "usps.t.bz2"}
_SIDE = 16
_LONGEST_LINE, _MOST_LINES = 2**14, 100_000  # the real files have 5 kB and 7291 of them


def _fetch(root: Path) -> None:
    from torchvision.datasets import USPS

    for train in (True, False):
        USPS(str(root), train=train, download=True)


def _read_part(folder: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    path = folder / _FILES[part]
    values, labels = list[NDArray[np.float32]](), list[int]()
    try:
        with bz2.open(path) as file:
            while line := file.readline(_LONGEST_LINE):
                if (not line.endswith(b"\n") and len(line) == _LONGEST_LINE) or len(labels) == _MOST_LINES:
                    raise ValueError("its lines are longer, or more, than those of USPS")
                label, *pairs = line.split()
                labels.append(int(label) - 1)
                values.append(np.array([pair.rpartition(b":")[2] for pair in pairs], dtype=np.float32))
        pixels = np.stack(values).reshape(-1, 1, _SIDE, _SIDE) if values else np.empty((0, 1, _SIDE, _SIDE))
        if not (np.abs(pixels) <= 1).all():
            raise ValueError("it has values beyond -1 to 1")
    except (OSError, EOFError, ValueError) as error:
        raise not_whole(path, error) from error
    return ((pixels + 1) / 2 * 255).astype(np.uint8), np.array(labels, dtype=np.int64)


USPS = Published(
    "usps",
    "USPS's digits of envelopes, 16 × 16",
    TEN_DIGITS,
    size=_SIDE,
    channels=1,
    files=f"the two files {' and '.join(_FILES.values())}",
    folder=".",
    find=lambda root: first_with([root, root / "USPS"], list(_FILES.values())),
    fetch=_fetch,
    read_part=_read_part,
).source()
