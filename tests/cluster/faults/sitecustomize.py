"""Puts faults into real trial processes: Python imports this by itself where its folder is on PYTHONPATH.

EIG_TUNE_FAULTS is JSON: trial seed to the fault that strikes when a run of that seed trains. ``raise`` raises, and
``kill`` sends SIGKILL to the process, as the kernel does when memory runs out.
"""

import json
import os
import signal
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
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
        faults, advance = json.loads(os.environ["EIG_TUNE_FAULTS"]), module.Run.advance

        def faulty(run: Any, steps: int) -> Any:
            fault = faults.get(str(run.config.seed))
            if fault == "raise":
                raise RuntimeError("a fault was put here")
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            return advance(run, steps)

        module.Run.advance = faulty  # type: ignore[attr-defined]


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _TARGET:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = _FaultyLoader(spec.loader)
        return spec


if "EIG_TUNE_FAULTS" in os.environ:
    sys.meta_path.insert(0, _Finder())
