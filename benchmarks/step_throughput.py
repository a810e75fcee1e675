"""Training steps per second of eig_tune, against the authors' recipe plainly written.

    python -m benchmarks.step_throughput [--root FOLDER_OF_MNIST]

The contestants take turns, block by block, so that whatever else the machine does strikes all of them alike;
what is compared is the time of blocks of the same turn.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.alternating import ALTERNATING
from benchmarks.authors_recipe import AuthorsRecipe
from benchmarks.machine import description
from eig_tune.data import DatasetConfig, ImageData, load_images
from eig_tune.models.base import Model
from eig_tune.training import TrainConfig
from eig_tune.training.loop import Run, TrialData

IMAGE_SIZE = 28
YARDSTICK = "authors' recipe"
Advance = Callable[[int], object]


def main() -> None:
    """Measure and print a Markdown table."""
    arguments = _arguments()
    torch.set_num_threads(1)
    images = _images(arguments.root)
    contestants = _contestants(images, arguments.width, arguments.batch_size)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    for advance in contestants.values():
        advance(arguments.warm_up)
    seconds = _take_turns(contestants, arguments.blocks, arguments.steps, clock)
    kind = "CPU" if arguments.cpu_time else "wall"
    print(f"{description()}, {torch.get_num_threads()} thread\n")
    print(
        f"{images.name} at {IMAGE_SIZE}×{IMAGE_SIZE}, width {arguments.width}, batch {arguments.batch_size}; "
        f"{arguments.blocks} blocks of {arguments.steps} steps each, {kind} time\n"
    )
    print(_table(seconds, arguments.steps))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="MNIST in torchvision's layout (default: scikit-learn's digits)")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="steps of one block")
    parser.add_argument("--warm-up", type=int, default=5, help="steps that are not counted")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds, for a machine that is busy")
    return parser.parse_args()


def _images(root: Path | None) -> ImageData:
    if root is not None:
        return load_images(DatasetConfig(name="mnist", root=root, image_size=IMAGE_SIZE))
    return load_images(DatasetConfig(name="digits", image_size=IMAGE_SIZE))


def _contestants(images: ImageData, width: int, batch_size: int) -> dict[str, Advance]:
    reference = TrainConfig().with_params({"width": width, "batch_size": batch_size})
    data, device = TrialData(images, classifier=None), torch.device("cpu")
    ours: dict[str, Advance] = {
        f"{name}, {precision}": Run(
            reference.with_params({"precision": precision, "method": method}), data, device
        ).advance
        for name, method in (("alternating, as before", ALTERNATING.name), ("eig_tune", reference.method))
        for precision in ("fp32", "bf16")
    }
    operations = _operations(Run(reference, data, device).model, batch_size)
    floors: dict[str, Advance] = {
        f"products alone, {name}": _products(operations, dtype)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    return {YARDSTICK: AuthorsRecipe(reference, images).advance, **ours, **floors}


def _operations(model: Model, batch_size: int) -> int:
    """Floating-point operations of the products of one step: G once forward and twice backward (to weights and to what
    is below them), the front end so for real, generated and augmented images, and once more to G's images."""
    with FlopCounterMode(display=False) as of_g:
        images = model.generate(torch.zeros(batch_size, dtype=torch.long), torch.zeros(batch_size, model.noise_dim))
    with FlopCounterMode(display=False) as of_front_end:
        model.category_logits(images)
    return int(3 * of_g.get_total_flops() + 10 * of_front_end.get_total_flops())


def _products(operations: int, dtype: torch.dtype) -> Advance:
    """As many operations as a step has, in square products, which a processor does fastest: no step can be faster."""
    side = 1024
    one, other = torch.randn(2, side, side).to(dtype)
    repeats = round(operations / (2 * side**3))

    def advance(steps: int) -> None:
        for _ in range(steps * repeats):
            torch.mm(one, other)

    return advance


def _take_turns(
    contestants: dict[str, Advance], blocks: int, steps: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of every block of every contestant."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(blocks):
        for name, advance in contestants.items():
            started = clock()
            advance(steps)
            seconds[name].append(clock() - started)
    return seconds


def _table(seconds: dict[str, list[float]], steps: int) -> str:
    lines = ["| step | ms per step | steps/s | times the recipe's speed (median, min–max) |", "|---|---|---|---|"]
    for name, blocks in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(seconds[YARDSTICK], blocks, strict=True)]
        each = median(blocks) / steps
        spread = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        lines.append(f"| {name} | {1000 * each:.0f} | {1 / each:.2f} | {spread} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
