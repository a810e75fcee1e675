"""Searching for hyperparameters from Python."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eig_tune.api.running import attended, home_at, run_options, store_uri
from eig_tune.api.space import Space, name_of, resolve, with_data
from eig_tune.stopping import Stop
from eig_tune.workflows.view import View

if TYPE_CHECKING:
    from eig_tune.api.result import SearchResult
    from eig_tune.data import DatasetConfig
    from eig_tune.data.arrays import ArrayLike


def search(
    space: Space,
    data: "ArrayLike | DatasetConfig | str | None" = None,
    labels: "ArrayLike | None" = None,
    *,
    name: str | None = None,
    home: str | Path | None = None,
    tracking_uri: str | None = None,
    resume: bool = False,
    gpus: int | None = None,
    trials_per_gpu: int | Literal["auto"] = 1,
    cpus: int | None = None,
    address: str | None = None,
    autoscale: bool = False,
    storage: str | None = None,
    time_budget: str | float | None = None,
    warm_start: str | None = None,
    view: View | None = None,
    stop: Stop | None = None,
) -> "SearchResult":
    """Search for good hyperparameters: Optuna proposes, successive halving promotes, MLflow remembers.

    Blocks until the search has ended. Ctrl-C, or a notebook's "interrupt kernel", ends it gently: what it has reached
    is kept, and the result says that it is not complete. A second Ctrl-C raises ``KeyboardInterrupt``, after which
    nothing is lost either.

    Args:
        space: a loaded space, a YAML file, or a mapping of the same form.
        data: images as a NumPy array or a torch tensor, [N, S, S], or [N, C, S, S] or [N, S, S, C] with one or three
            channels, uint8 from 0 to 255 or floats from 0 to 1; or the name of a data set, such as ``mnist`` or
            ``cifar-10``, or a :class:`DatasetConfig`. None takes the images that the space names. The side S must be
            a multiple of 4 from 8 to 256, unless the space's ``dataset.image_size`` says to what the images shall be
            resized.
        labels: true classes [N] of images given as an array, whole numbers or text; without them the search is for
            metrics that need none, by default ``label_free_score`` and
            ``augment_information``.
        name: of the search, and of its MLflow experiment; the space file's, or ``search``.
        home: folder for all that is left behind; EIG_TUNE_HOME, or ``eig-runs``.
        tracking_uri: the MLflow store; MLFLOW_TRACKING_URI, or the home's own.
        resume: go on with the search of that name, which must have had the same images, model and training. Its
            ``trials``, ``train.steps`` (more of them), ``search``, ``sampler``, ``seed``, ``objectives``,
            ``constraints`` and ``confirm`` may be others; what becomes of the trials so far is logged.
        gpus: how many GPUs to use; 0 is the CPU, None is all.
        trials_per_gpu: trials that share a GPU; ``auto`` goes by its memory: at most 2, under NVIDIA's MPS 16.
        cpus: trials at once on the CPU; None is all.
        address: a Ray cluster; RAY_ADDRESS, or this machine.
        autoscale: let trials wait for nodes that the cluster starts when they are needed; ``gpus``, or with
            ``gpus=0`` ``cpus``, says for how many.
        storage: where checkpoints lie, a folder or ``s3://bucket/prefix``; EIG_TUNE_STORAGE, or the home.
        time_budget: end gently after so many seconds, or after a time such as ``1h30m``.
        warm_start: begin with the Pareto front of this search, named by its name or its run.
        view: shows progress; by default a live table in a terminal and lines of text in a notebook. ``View()`` shows
            nothing.
        stop: of a caller that listens to signals itself and has a time budget of its own, as the command line does.

    Returns:
        What the search has come to; ``result.complete`` says whether all of it was done.

    Raises:
        ConfigError: something in the space is wrong or does not fit the images, or the search to go on with had
            another space or other images; every problem is reported.
        DataError: the images cannot be had.
        EigTuneError: it cannot begin, or cannot go on; nothing is lost.
        KeyboardInterrupt: it was interrupted before its first trial had begun.

    Example:
        >>> digits = sklearn.datasets.load_digits()
        >>> space = eig_tune.load_space("search_spaces/digits.yaml", dataset={"image_size": 16}, trials=4)
        >>> result = eig_tune.search(space, digits.images / 16, digits.target, gpus=0)
        >>> result.best("nmi").params
    """
    spec, arrays = with_data(resolve(space, searching=True), data, labels)
    place = home_at(home)
    with attended(view, time_budget, stop) as (shown, asked_to_stop):
        from eig_tune.api.result import SearchResult
        from eig_tune.config.unused import find_unused_in_search
        from eig_tune.workflows.prepare import warn_of_unused
        from eig_tune.workflows.search import run_search, warm_started

        options = run_options(
            name or name_of(space, "{}", "search"),
            place,
            tracking_uri,
            gpus,
            trials_per_gpu,
            cpus,
            address,
            autoscale,
            storage,
            resume,
            asked_to_stop,
        )
        warn_of_unused(find_unused_in_search(spec))
        if warm_start is not None:
            spec = warm_started(spec, warm_start, options, place)
        outcome = run_search(spec, options, place, shown, arrays)
        return SearchResult(options.name, place, options.tracking_uri, outcome.spec, outcome)


def open_search(
    name: str | None = None, *, home: str | Path | None = None, tracking_uri: str | None = None
) -> "SearchResult":
    """A search that has run, or is running, here or on another machine.

    Args:
        name: of the search, or the id of its run in MLflow; None is the newest one of the home.
        home: folder of the searches; EIG_TUNE_HOME, or ``eig-runs``.
        tracking_uri: the MLflow store; MLFLOW_TRACKING_URI, or the home's own.

    Returns:
        What it has come to until now; call it again for what has come since.

    Raises:
        ResultError: there is no such search.
        TrackingError: the store cannot be reached.

    Example:
        >>> eig_tune.open_search("digits").trials.sort_values("nmi")
    """
    from eig_tune.api.result import SearchResult

    place = home_at(home)
    result = SearchResult(name, place, store_uri(tracking_uri, place.path))
    result.found  # noqa: B018  (there is none: the error comes here)
    return result
