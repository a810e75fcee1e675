"""A user's own metrics and networks on their way to the processes of trials, which may not have the user's modules."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from eig_tune.training.loop import TrialData


@contextmanager
def sent_by_value(datasets: Iterable[TrialData]) -> Iterator[None]:
    """In the block, Ray sends the modules in which own metrics and networks are defined along with them.

    What is defined in a notebook, in the module ``__main__``, is sent so in any case. Modules that the user's own
    import in turn are not sent: they must be installed on every node.
    """
    from ray import cloudpickle

    named = {module for data in datasets for module in _modules(data)} & sys.modules.keys()
    modules = [sys.modules[name] for name in sorted(named) if name != "__main__" and not name.startswith("eig_tune.")]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _modules(data: TrialData) -> Iterator[str]:
    yield from (getattr(metric.compute, "__module__", "") for metric in data.metrics)
    yield from (method.model.load().__module__ for method in data.methods)
