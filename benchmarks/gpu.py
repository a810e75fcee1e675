"""Training on a GPU: ordinary steps and replayed ones, and many trials on one GPU.

    python -m benchmarks.gpu [--width 64] [--mps]

Prints Markdown tables: steps per second of one process, by precision, with every kernel launched by itself (eager) and
as one CUDA graph; of 1 to 16 processes that share the GPU; and the memory that a trial takes. ``--mps`` measures the
second table again under NVIDIA's Multi-Process Service, whose daemon it starts and stops. Images are scikit-learn's
digits at 28×28; what they show does not change the time.
"""

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median

import torch

from benchmarks.machine import description
from eig_tune.cluster.gpu_memory import measure
from eig_tune.data import DatasetConfig, load_images
from eig_tune.models import METHODS, register_method
from eig_tune.models.infogan import InfoGan
from eig_tune.models.methods import Precision
from eig_tune.training import TrainConfig
from eig_tune.training.loop import Run, TrialData

METHOD, EAGER = "elastic-infogan", "eager"
BLOCKS, WARM_UP = 7, 20
SHARED_SECONDS = 5.0


def main() -> None:
    """Measure, and print the tables."""
    arguments = _arguments()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: PyTorch sees no GPU here; run it where there is one")
    print(f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}, {description()}\n", flush=True)
    print(f"Width {arguments.width}, batch 64, 28×28, median of {BLOCKS} blocks of {arguments.steps} steps\n")
    print(_alone(arguments.width, arguments.steps), flush=True)
    print(_memory(arguments.width), flush=True)
    print(_sharing(arguments.width, arguments.processes, ""), flush=True)
    if arguments.mps:
        with _multi_process_service():
            print(_sharing(arguments.width, arguments.processes, ", under MPS"), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50, help="steps of one block")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--mps", action="store_true", help="measure under NVIDIA's Multi-Process Service too")
    return parser.parse_args()


def _config(width: int, method: str, precision: Precision = "bf16") -> TrainConfig:
    if EAGER not in METHODS:
        register_method(METHODS[METHOD].with_model(EAGER, InfoGan))  # an own model is not captured
    return TrainConfig(method=method).with_params({"width": width, "precision": precision})


def _data() -> TrialData:
    return TrialData(load_images(DatasetConfig(name="digits", image_size=28)), classifier=None)


def _alone(width: int, steps: int) -> str:
    """The contestants take turns, block by block."""
    data, device = _data(), torch.device("cuda")
    precisions: tuple[Precision, ...] = ("bf16", "fp32")
    runs = {(p, m): Run(_config(width, m, p), data, device) for p in precisions for m in (EAGER, METHOD)}
    for run in runs.values():
        run.advance(WARM_UP)
    seconds: dict[tuple[str, str], list[float]] = {contestant: [] for contestant in runs}
    for _ in range(BLOCKS):
        for contestant, run in runs.items():
            started = time.perf_counter()
            run.advance(steps)  # reads the losses back at its end
            seconds[contestant].append((time.perf_counter() - started) / steps)
    lines = ["| precision | eager, ms a step | CUDA graph, ms a step | steps/s | × |", "|" + "---|" * 5]
    for precision in precisions:
        eager, graph = (1000 * median(seconds[precision, method]) for method in (EAGER, METHOD))
        lines.append(f"| {precision} | {eager:.2f} | {graph:.2f} | {1000 / graph:,.0f} | {eager / graph:.1f} |")
    return "\n".join(lines) + "\n"


def _memory(width: int) -> str:
    config = _config(width, METHOD).with_params({"steps": 5, "report_every": 5})
    need = measure([config], _data())
    assert need is not None
    mib = 2**20
    return (
        f"A trial takes {need.reserved / mib:,.0f} MiB and {need.context / mib:,.0f} MiB of CUDA's own, of "
        f"{need.total / mib:,.0f} MiB: `--trials-per-gpu auto` puts {need.trials} on this GPU as it is now.\n"
    )


def _sharing(width: int, counts: list[int], under: str) -> str:
    lines = [f"| processes{under} | eager, steps/s in all | CUDA graph, steps/s in all |", "|" + "---|" * 3]
    for count in counts:
        eager, graph = _steps_per_second(width, count)
        lines.append(f"| {count} | {eager:,.0f} | {graph:,.0f} |")
    return "\n".join(lines) + "\n"


def _steps_per_second(width: int, processes: int) -> tuple[float, float]:
    """Of all processes together while every one of them trains: eager, then with CUDA graphs."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, mp_context=context) as pool:
        one = partial(_train, width, manager.Barrier(processes))
        of_each = list(pool.map(one, range(processes)))
    return sum(eager for eager, _ in of_each), sum(graph for _, graph in of_each)


def _train(width: int, all_ready: threading.Barrier, _: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    data = _data()
    runs = [Run(_config(width, method), data, torch.device("cuda")) for method in (EAGER, METHOD)]
    eager, graph = (_timed(run, all_ready) for run in runs)
    return eager, graph


def _timed(run: Run, all_ready: threading.Barrier) -> float:
    run.advance(WARM_UP)
    all_ready.wait(timeout=120)
    steps, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SHARED_SECONDS:
        run.advance(50)
        steps += 50
    return steps / elapsed


@contextmanager
def _multi_process_service() -> Iterator[None]:
    """NVIDIA's daemon, with a pipe of its own, so that no other one is met."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        sys.exit("benchmarks.gpu: --mps needs nvidia-cuda-mps-control, of NVIDIA's driver, on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        subprocess.run([control, "-d"], check=True, timeout=30)
        try:
            yield
        finally:
            subprocess.run([control], input="quit\n", text=True, check=False, timeout=30)
            del os.environ["CUDA_MPS_PIPE_DIRECTORY"], os.environ["CUDA_MPS_LOG_DIRECTORY"]


if __name__ == "__main__":
    main()
