"""Options that several commands share, and what is made of their values."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eig_tune.errors import EigTuneError
from eig_tune.paths import absolute, expanded

if TYPE_CHECKING:
    from eig_tune.config.space import SearchSpec


def path_option(key: str, read: Callable[[Path, str], Path] = expanded) -> dict[str, Any]:
    """How an option or argument that is a path is read: a shell leaves ``~`` in ``--out=~/x`` as it is."""

    def parse(typed: str | Path) -> Path:
        if not str(typed):
            raise EigTuneError(f"{key}: is empty; write a path")
        return read(Path(typed), key)

    return {"parser": parse, "metavar": key if key.isupper() else "<path>"}


SpaceOption = Annotated[Path, typer.Option("--space", **path_option("--space"), help="The search's YAML file.")]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        **path_option("--home", absolute),
        envvar="EIG_TUNE_HOME",
        help="Folder for everything that runs leave behind.",
    ),
]
RootOption = Annotated[
    Path | None, typer.Option("--root", **path_option("--root"), help="Where the images lie (dataset.root).")
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the search.")]
FoundOption = Annotated[str | None, typer.Option("--name", help="Name of the search, or the id of its run in MLflow.")]
UriOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="Address of the MLflow store; the home's own by default."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
GpusOption = Annotated[int | None, typer.Option(min=0, help="GPUs to use at most; all by default, 0 is the CPU.")]
TrialsPerGpuOption = Annotated[
    str,
    typer.Option(
        help="Trials that share one GPU; auto goes by its memory: at most 2, under NVIDIA's MPS 16.",
        metavar="INTEGER|auto",
    ),
]
CpusOption = Annotated[
    int | None, typer.Option(min=1, help="Most trials at once where there are no GPUs; one for each CPU by default.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(envvar="RAY_ADDRESS", help="Address of a Ray cluster, such as HOST:6379; this machine by default."),
]
AutoscaleOption = Annotated[
    bool,
    typer.Option(
        "--autoscale",
        help="Let trials wait for nodes that the cluster starts for them; --gpus or --cpus says for how many.",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        envvar="EIG_TUNE_STORAGE",
        help="Where checkpoints lie: a folder or s3://bucket/prefix; in the home by default.",
    ),
]
BundleArgument = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE", help="Folder that `best --export` wrote, or models:/NAME@champion or models:/NAME/3."
    ),
]
TimeBudgetOption = Annotated[
    str | None,
    typer.Option(help="End after this time, such as 2h or 1h30m; --resume continues."),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue what has this name already.")]
StepsOption = Annotated[
    int | None, typer.Option("--steps", help="Full budget of a trial in optimisation steps (train.steps).")
]


def read_spec(space: Path, overrides: dict[str, Any], searching: bool = True) -> "SearchSpec":
    """The space in a YAML file, with those ``overrides`` that are given; see :func:`config.space.load_spec`."""
    from eig_tune.config.space import load_spec

    return load_spec(space, {key: value for key, value in overrides.items() if value is not None}, searching)


def trials_sharing_a_gpu(text: str) -> "int | Literal['auto']":
    """The number, or ``auto``."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise EigTuneError(f"--trials-per-gpu: got {text!r}; write a number from 1 on, or auto")
    return int(text)


def seconds_of(time_budget: str | None) -> float | None:
    """Length of a time budget such as 1h30m."""
    from eig_tune.config.durations import parse_duration

    return None if time_budget is None else parse_duration(time_budget, "--time-budget")
