"""Puts faults into real trial processes, and watches them; Python imports this where its folder is on PYTHONPATH.

EIG_TUNE_FAULTS is JSON: trial seed to the fault that strikes when a run of that seed trains. ``raise`` raises, and
``kill`` sends SIGKILL to the process, as the kernel does when memory runs out. With ``not enough memory`` the GPU has
none for a batch of 32 behind the first report, and with ``never enough memory`` for none at all.

EIG_TUNE_WATCH is a folder. Whenever a run begins to train to its next report, it adds a line of JSON to a file there:
the time, its seed, the step that it has reached, its host, process and CUDA_VISIBLE_DEVICES. EIG_TUNE_PACE is how
many seconds it sleeps then: what a real trial spends in training, without the processor that eight of them need.
"""

import json
import os
import signal
import socket
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_TARGET = "eig_tune.training.loop"


class _FaultyLoader(Loader):
    def __init__(self, real: Any) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._real.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        faults, advance = json.loads(os.environ.get("EIG_TUNE_FAULTS", "{}")), module.Run.advance
        pace, folder = float(os.environ.get("EIG_TUNE_PACE", "0")), os.environ.get("EIG_TUNE_WATCH")

        def small(run: Any) -> bool:
            return bool(run.config.train.batch_size < 32)

        def faulty(run: Any, steps: int) -> Any:
            if folder:
                _note(run, Path(folder))
            time.sleep(pace)
            fault = faults.get(str(run.config.seed))
            if fault == "raise":
                raise RuntimeError("a fault was put here")
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "never enough memory" or (fault == "not enough memory" and not small(run) and run.step):
                raise module.torch.OutOfMemoryError("CUDA out of memory, as a fault that was put here says")
            return advance(run, steps)

        module.Run.advance = faulty


def _note(run: Any, folder: Path) -> None:
    host, process = socket.gethostname(), os.getpid()
    line = {
        "at": time.time(),
        "seed": run.config.seed,
        "step": run.step,
        "host": host,
        "process": process,
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    with (folder / f"{host}-{process}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _TARGET:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = _FaultyLoader(spec.loader)
        return spec


if {"EIG_TUNE_FAULTS", "EIG_TUNE_WATCH", "EIG_TUNE_PACE"} & os.environ.keys():
    sys.meta_path.insert(0, _Finder())
