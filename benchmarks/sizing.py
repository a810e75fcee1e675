"""How large a trial is: memory, time of a step and size of a checkpoint, by width and image size.

    python -m benchmarks.sizing [--widths 16 32 64 128] [--sizes 16 32 64] [--network auto] [--precision bf16]

Each pair is trained for a few steps in a process of its own, on one thread, on scikit-learn's digits brought to that
size, with Elastic-InfoGAN and a batch of 64. Memory is the most that the process has held, libraries included; of it
`importing` alone takes what the first line says. On a GPU the last column is what the device held at most.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import description
from eig_tune.models.networks import AUTO, NETWORKS

SECONDS = 6.0
MOST_STEPS = 100


def measured(width: int, size: int, network: str, precision: str) -> dict[str, Any]:
    """Train for a few seconds in this process."""
    import torch

    from eig_tune.data import DatasetConfig, load_images
    from eig_tune.training import TrainConfig
    from eig_tune.training.loop import TrialData, fit

    torch.set_num_threads(1)
    imported = _resident()
    images = load_images(DatasetConfig(name="digits", image_size=size))
    values = {"width": width, "precision": precision, "steps": MOST_STEPS, "report_every": 1, "images_per_category": 10}
    config = TrainConfig().with_params({**values, "network": network, "final_images_per_category": 10})
    seconds, began = [], time.monotonic()
    for progress in fit(config, TrialData(images, None)):
        seconds.append(progress.train_seconds)
        if time.monotonic() - began > SECONDS and len(seconds) > 2:
            break
    with tempfile.TemporaryDirectory() as folder:
        progress.save(Path(folder))
        checkpoint = sum(file.stat().st_size for file in Path(folder).iterdir())
    on_gpu = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    reached = {"seconds": median(seconds[1:]), "resident": _resident(), "imported": imported}
    return {**reached, "checkpoint": checkpoint, "gpu": on_gpu}


def _resident() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print one row per width and image size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--network", default=AUTO, choices=[AUTO, *NETWORKS])
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in the process that is measured
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.widths[0], arguments.sizes[0], arguments.network, arguments.precision)))
        return
    print(f"{description()}; network {arguments.network}, {arguments.precision}, batch 64, one thread\n")
    print(
        "| image size | width | step | 10,000 steps | memory | checkpoint | on the GPU |\n|---|---|---|---|---|---|---|"
    )
    for size in arguments.sizes:
        for width in arguments.widths:
            command = [sys.executable, "-m", "benchmarks.sizing", "--one", "--widths", str(width), "--sizes", str(size)]
            command += ["--network", arguments.network, "--precision", arguments.precision]
            done = subprocess.run(command, capture_output=True, check=True)
            row = json.loads(done.stdout)
            cells = [f"{size} × {size}", width, f"{1e3 * row['seconds']:.0f} ms", f"{row['seconds'] / 0.36:.1f} h"]
            cells += [f"{row['resident'] / 2**30:.2f} GiB", f"{row['checkpoint'] / 1e6:.0f} MB"]
            cells.append(f"{row['gpu'] / 2**30:.2f} GiB" if row["gpu"] else "–")
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\nof the memory, libraries: {row['imported'] / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
