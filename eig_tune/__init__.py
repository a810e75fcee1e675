"""eig-tune: find the hyperparameters with which Elastic-InfoGAN discovers classes and their imbalance.

From Python: :func:`load_space`, :func:`search`, :func:`open_search`, :func:`compare`, :func:`suggest_k`,
:func:`train` and :func:`load_bundle`. What is behind a name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "BestTrial": "api.best",
    "ComparisonResult": "api.comparing",
    "compare": "api.comparing",
    "add_trial": "api.home",
    "delete_search": "api.home",
    "list_searches": "api.home",
    "stop_search": "api.home",
    "TrainedModel": "api.model",
    "load_bundle": "api.model",
    "METHODS": "api.own",
    "InfoGan": "api.own",
    "Metric": "api.own",
    "register_method": "api.own",
    "register_metric": "api.own",
    "SearchResult": "api.result",
    "open_search": "api.search",
    "search": "api.search",
    "DatasetConfig": "api.space",
    "SearchSpec": "api.space",
    "load_space": "api.space",
    "KSuggestion": "api.suggesting",
    "suggest_k": "api.suggesting",
    "TrainedRun": "api.training",
    "train": "api.training",
    "View": "api.running",
    "EigTuneError": "errors",
}

if TYPE_CHECKING:
    from eig_tune.api.best import BestTrial
    from eig_tune.api.comparing import ComparisonResult, compare
    from eig_tune.api.home import add_trial, delete_search, list_searches, stop_search
    from eig_tune.api.model import TrainedModel, load_bundle
    from eig_tune.api.own import METHODS, InfoGan, Metric, register_method, register_metric
    from eig_tune.api.result import SearchResult
    from eig_tune.api.running import View
    from eig_tune.api.search import open_search, search
    from eig_tune.api.space import DatasetConfig, SearchSpec, load_space
    from eig_tune.api.suggesting import KSuggestion, suggest_k
    from eig_tune.api.training import TrainedRun, train
    from eig_tune.errors import EigTuneError

__all__ = [
    "METHODS",
    "BestTrial",
    "ComparisonResult",
    "DatasetConfig",
    "EigTuneError",
    "InfoGan",
    "KSuggestion",
    "Metric",
    "SearchResult",
    "SearchSpec",
    "TrainedModel",
    "TrainedRun",
    "View",
    "__version__",
    "add_trial",
    "compare",
    "delete_search",
    "list_searches",
    "load_bundle",
    "load_space",
    "open_search",
    "register_method",
    "register_metric",
    "search",
    "stop_search",
    "suggest_k",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
