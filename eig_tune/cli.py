"""The command line: parse, call, print; nothing else. Heavy imports happen inside the commands."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from eig_tune import __version__, strict_json
from eig_tune.errors import DISK_IS_FULL, EigTuneError
from eig_tune.home import DEFAULT_HOME
from eig_tune.paths import absolute, expanded, have_a_home
from eig_tune.stopping import Interrupted, Stop, end_quietly_from_now_on

if TYPE_CHECKING:
    from rich.console import Console

    from eig_tune.config.space import SearchSpec

_WIDTH_OF_A_LOG = 160
_PLANNED_SLOTS = (1, 2, 4, 8, 16, 32)

# Threads that wait for each other spin, unless told to sleep: beside other work on the machine, two threads then train
# the evaluation classifier eight times as slowly as one does. PyTorch's OpenMP reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find the hyperparameters with which Elastic-InfoGAN discovers the classes, and their imbalance, "
    "in an unlabelled image set.",
)


def _path(key: str, read: Callable[[Path, str], Path] = expanded) -> dict[str, Any]:
    """How an option or argument that is a path is read: a shell leaves ``~`` in ``--out=~/x`` as it is."""

    def parse(typed: str | Path) -> Path:
        if not str(typed):
            raise EigTuneError(f"{key}: is empty; write a path")
        return read(Path(typed), key)

    return {"parser": parse, "metavar": key if key.isupper() else "<path>"}


SpaceOption = Annotated[Path, typer.Option("--space", **_path("--space"), help="The search's YAML file.")]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        **_path("--home", absolute),
        envvar="EIG_TUNE_HOME",
        help="Folder for everything that runs leave behind.",
    ),
]
RootOption = Annotated[
    Path | None, typer.Option("--root", **_path("--root"), help="Where the images lie (dataset.root).")
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the search.")]
FoundOption = Annotated[str | None, typer.Option("--name", help="Name of the search, or the id of its run in MLflow.")]
UriOption = Annotated[
    str | None,
    typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store; the home's own by default."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
GpusOption = Annotated[int | None, typer.Option(min=0, help="GPUs to use; 0 is the CPU. All, unless told.")]
TrialsPerGpuOption = Annotated[
    str, typer.Option(help="Trials that share one GPU; auto is as many as its memory takes.", metavar="INTEGER|auto")
]
CpusOption = Annotated[int | None, typer.Option(min=1, help="CPU trials at once. All, unless told.")]
AddressOption = Annotated[
    str | None, typer.Option(envvar="RAY_ADDRESS", help="Ray cluster; this machine, unless told.")
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        envvar="EIG_TUNE_STORAGE",
        help="Where checkpoints lie: a folder, or s3://bucket/prefix. In the home, unless told.",
    ),
]
BundleArgument = Annotated[
    str, typer.Argument(help="Folder that `best --export` wrote, or models:/NAME@champion or models:/NAME/3.")
]
TimeBudgetOption = Annotated[
    str | None,
    typer.Option(help="End after this long, such as 2h or 1h30m, whatever is going on; --resume goes on."),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with what has this name already.")]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Full budget of a trial (train.steps).")]


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def search(
    space: SpaceOption,
    name: NameOption = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials.")] = None,
    steps: StepsOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search.")] = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    trials_per_gpu: TrialsPerGpuOption = "1",
    cpus: CpusOption = None,
    address: AddressOption = None,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    time_budget: TimeBudgetOption = None,
    warm_start: Annotated[str | None, typer.Option(help="Begin with the front of this search (name or run).")] = None,
    resume: ResumeOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Search for good hyperparameters: Optuna proposes, successive halving promotes, MLflow remembers."""
    stop, per_gpu = Stop(_seconds(time_budget)), _trials_per_gpu(trials_per_gpu)
    spec = _spec(space, {"trials": trials, "train.steps": steps, "seed": seed, "dataset.root": root})
    if dry_run:
        _print_plan(spec, home)
        return
    from eig_tune.config.unused import idle_in_search
    from eig_tune.home import writable_home
    from eig_tune.terminal.tables import outcome_document, print_outcome
    from eig_tune.workflows.prepare import tell_idle
    from eig_tune.workflows.search import run_search, warm_started
    from eig_tune.workflows.session import RunOptions

    console, place = _console(), writable_home(home)
    uri = _store_uri(tracking_uri, place.path)
    tell_idle(idle_in_search(spec), console)
    options = RunOptions(
        name=name or space.stem,
        tracking_uri=uri,
        gpus=gpus,
        trials_per_gpu=per_gpu,
        cpus=cpus,
        address=address,
        storage=storage,
        resume=resume,
        stop=stop,
    )
    if warm_start is not None:
        spec = warm_started(spec, warm_start, options, place, console)
    with stop.listening():
        outcome = run_search(spec, options, place, console)
        print_outcome(outcome, spec, console)
        if as_json:
            typer.echo(strict_json.dumps(outcome_document(outcome)))
    if stop.signal is not None:
        raise Interrupted(stop.signal)


@app.command()
def best(
    name: FoundOption = None,
    by: Annotated[str, typer.Option(help="nmi, prior_rmse, another objective, or the front's knee.")] = "knee",
    export: Annotated[
        Path | None, typer.Option(**_path("--export"), help="Write the model into this new folder.")
    ] = None,
    register: Annotated[str | None, typer.Option(help="Make it a version of this registered MLflow model.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it the champion even if it is no better.")] = False,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the best trial of a search, and take its model home."""
    from eig_tune.export.from_search import export_trial, lacks_model, register_trial
    from eig_tune.home import Home
    from eig_tune.hpo.selection import choose
    from eig_tune.terminal.tables import print_best, print_found, trial_document
    from eig_tune.tracking import read_search
    from eig_tune.tracking.registry import check_model_name
    from eig_tune.workflows.identity import own_searches

    if force and register is None:
        raise EigTuneError("--force: goes with --register NAME only")
    if register is not None:
        check_model_name(register)
    console = _console()
    found = read_search(_store_uri(tracking_uri, home), name, own_searches(Home(home), name))
    print_found(found, console)
    chosen = choose(found.finished(), found.objectives, by)
    print_best(chosen, found, by, console)
    lacking = lacks_model(found, chosen)
    if lacking is not None and export is None and register is None:
        console.print(lacking, style="yellow", markup=False, highlight=False, soft_wrap=True)
    document = {**trial_document(chosen, found, by), "has_model": lacking is None}
    if export is not None:
        export_trial(found, chosen, export, by)
        console.print(f"model written to {export}", highlight=False, soft_wrap=True)
    if register is not None:
        made = register_trial(found, chosen, register, by, force, export)
        console.print(str(made), markup=False, highlight=False, soft_wrap=True)
        document["registered"] = {"name": made.name, "version": made.version, "champion": made.champion}
    if as_json:
        typer.echo(strict_json.dumps(document))


@app.command()
def compare(
    space: SpaceOption,
    methods: Annotated[str, typer.Option(help="all, or names separated by commas.")] = "all",
    splits: Annotated[str, typer.Option(help="Imbalances: 0-4, or 0,2,5; p-values take four.")] = "0-4",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every method on every imbalance.")] = 2,
    best_of: Annotated[
        str | None, typer.Option(help="Take each method's values from this search (name or run).")
    ] = None,
    name: NameOption = None,
    steps: StepsOption = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    trials_per_gpu: TrialsPerGpuOption = "1",
    cpus: CpusOption = None,
    address: AddressOption = None,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    time_budget: TimeBudgetOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the paper's table: every method on every imbalance with every seed, mean ± standard deviation."""
    from eig_tune.config.unused import idle_in_runs
    from eig_tune.home import writable_home
    from eig_tune.terminal.tables import comparison_document, print_comparison
    from eig_tune.workflows.compare import Plan, parse_methods, parse_splits, run_comparison, winners_of
    from eig_tune.workflows.prepare import tell_idle
    from eig_tune.workflows.session import RunOptions

    stop, per_gpu = Stop(_seconds(time_budget)), _trials_per_gpu(trials_per_gpu)
    chosen, numbers = parse_methods(methods), parse_splits(splits)
    spec = _spec(space, {"train.steps": steps, "dataset.root": root}, searching=False)
    console, place = _console(), writable_home(home)
    uri = _store_uri(tracking_uri, place.path)
    tell_idle(idle_in_runs(spec, chosen), console)
    options = RunOptions(
        name=name or f"{space.stem}-compare",
        tracking_uri=uri,
        gpus=gpus,
        trials_per_gpu=per_gpu,
        cpus=cpus,
        address=address,
        storage=storage,
        resume=resume,
        stop=stop,
    )
    winners = winners_of(best_of, chosen, options, place, console) if best_of is not None else {}
    with stop.listening():
        outcome = run_comparison(spec, Plan(chosen, numbers, seeds, winners), options, place, console)
        print_comparison(outcome, chosen, console)
        if as_json:
            typer.echo(strict_json.dumps(comparison_document(outcome, chosen)))
    if stop.signal is not None:
        raise Interrupted(stop.signal)


@app.command()
def train(
    space: SpaceOption,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; any field, named flat.")] = None,
    steps: StepsOption = None,
    root: RootOption = None,
    out: Annotated[
        Path | None, typer.Option(**_path("--out"), help="Folder for metrics, checkpoint and pictures.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train one model in this process, without Ray: the way to debug."""
    from eig_tune.config.unused import idle_in_run
    from eig_tune.home import writable_home
    from eig_tune.terminal.tables import print_progress
    from eig_tune.workflows.prepare import prepare_classifier, prepare_images, tell_idle
    from eig_tune.workflows.train import check_out, parse_settings, run_single, single_config

    spec = _spec(space, {"train.steps": steps, "dataset.root": root}, searching=False)
    values = parse_settings(settings or [])
    config = single_config(spec, values)
    console, place = _console(), writable_home(home)
    if out is not None:
        check_out(out, resume)
    tell_idle(idle_in_run(spec, config, values), console)
    data = prepare_classifier(spec, prepare_images(spec.of_run(config), console, place), place, console)
    for progress in run_single(config, data, out):
        print_progress(progress, config.train.steps, console)
        if as_json:
            typer.echo(strict_json.dumps({"step": progress.step, **progress.metrics()}))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(**_path("FILE"), help="The search's YAML file.")],
    root: RootOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check a search's YAML; print its data, the resolved space, the rungs and the predicted cost.

    Data that is not on this machine is no mistake in the file: it is said how to get it, and the exit code is 0.
    """
    _print_plan(_spec(file, {"dataset.root": root}), home)


@app.command()
def doctor(
    space: Annotated[
        Path | None, typer.Option("--space", **_path("--space"), help="A search's YAML file, to check its data too.")
    ] = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    cpus: CpusOption = None,
    address: AddressOption = None,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the place where a search will run: nodes, GPUs, versions, storage, MLflow, data, token."""
    from eig_tune.cluster.doctor import Place, document, examine, fit
    from eig_tune.cluster.storage import named_storage
    from eig_tune.home import writable_home
    from eig_tune.terminal.tables import print_checks

    spec = None if space is None else _spec(space, {"dataset.root": root})
    console, place = _console(), writable_home(home)
    uri = _store_uri(tracking_uri, place.path)
    checks = examine(Place(address, gpus, cpus, named_storage(storage, place.ray), uri), spec, console, place)
    print_checks(checks, console)
    if as_json:
        typer.echo(strict_json.dumps(document(checks)))
    if not fit(checks):
        raise typer.Exit(EigTuneError.exit_code)


@app.command()
def predict(
    bundle: BundleArgument,
    images: Annotated[list[Path], typer.Argument(**_path("IMAGES"), help="Image files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(**_path("--out"), help="CSV file; stdout, unless told.")] = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Category, its probability and the entropy of Q(c|x) of every image, as CSV."""
    from eig_tune.export import open_bundle
    from eig_tune.export.inference import find_images, write_predictions
    from eig_tune.export.inference import predict as predictions
    from eig_tune.terminal.progress import step_bar
    from eig_tune.workflows.prepare import tell_left_out

    console = _console()
    record, model = open_bundle(bundle, _store_uri(tracking_uri, home))
    files, left_out = find_images(images)
    with _csv_file(out) as opened, step_bar(console, "reading images") as on_progress:
        count = write_predictions(predictions(record, model, files, left_out.append, on_progress), opened)
    if left_out:
        tell_left_out(
            left_out, out.with_suffix(".left-out.csv") if out is not None and out.is_file() else None, console
        )
    console.print(f"{count} of {len(files)} images", highlight=False)


@app.command()
def sample(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option(**_path("--out"), help="Picture (.png) or arrays (.npz).")],
    category: Annotated[int | None, typer.Option(help="One category; all, unless told.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="Images of each category.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Draw images of every category, or of one."""
    from eig_tune.export import open_bundle
    from eig_tune.export.inference import sample as samples
    from eig_tune.export.inference import write_samples

    _, model = open_bundle(bundle, _store_uri(tracking_uri, home))
    categories = list(range(model.categories)) if category is None else [category]
    write_samples(samples(model, categories, number, seed), categories, out)
    _console().print(f"samples written to {out}", highlight=False, soft_wrap=True)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Open the MLflow UI on this home's store."""
    from eig_tune.tracking.ui import serve_ui

    uri = _store_uri(tracking_uri, home)
    _console().print(f"MLflow UI: http://127.0.0.1:{port}  (Ctrl-C ends it)", highlight=False)
    raise typer.Exit(serve_ui(uri, home, port))


def _spec(space: Path, overrides: dict[str, Any], searching: bool = True) -> "SearchSpec":
    from eig_tune.config.space import load_spec

    return load_spec(space, {key: value for key, value in overrides.items() if value is not None}, searching)


def _store_uri(given: str | None, home: Path) -> str:
    """The address of the MLflow store: the home's own, unless told."""
    from eig_tune.tracking import check_address, local_uri, usable_address

    if not given:
        return local_uri(home)
    check_address(given, sys.argv)
    return usable_address(given)


def _trials_per_gpu(text: str) -> int | None:
    """The number, or None for auto."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise EigTuneError(f"--trials-per-gpu: got {text!r}; write a number from 1 on, or auto")
    return int(text)


def _seconds(time_budget: str | None) -> float | None:
    from eig_tune.config.durations import parse_duration

    return None if time_budget is None else parse_duration(time_budget, "--time-budget")


def _print_plan(spec: "SearchSpec", home: Path) -> None:
    from eig_tune.config.unused import idle_in_rows, idle_in_search
    from eig_tune.data import how_to_get
    from eig_tune.home import Home
    from eig_tune.hpo.plan import make_plan
    from eig_tune.terminal.tables import print_plan
    from eig_tune.training.speed import steps_per_second
    from eig_tune.workflows.prepare import prepare_images, tell_idle

    console = _console()
    tell_idle([*idle_in_search(spec), *idle_in_rows(spec, spec.compare)], console)
    absent = how_to_get(spec.dataset)
    if absent is None:
        images = prepare_images(spec, console, Home(absolute(home, "--home")))
        speed = steps_per_second(spec.base_config(), images)
    else:
        speed = None
        console.print(f"data: {absent}", markup=False, highlight=False, soft_wrap=True)
    plans = [make_plan(spec, slots) for slots in _PLANNED_SLOTS if slots <= spec.trials]
    print_plan(spec, plans, speed, console)


@contextmanager
def _csv_file(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    try:
        with out.open("w", newline="", encoding="utf-8") as opened:
            yield opened
    except OSError as error:
        raise EigTuneError(f"--out: {out} cannot be written ({error.strerror})") from error


def _console() -> "Console":
    from rich.console import Console

    # A name or a path may have [brackets] and :colons: in it, which are shown as they are.
    as_it_is: dict[str, Any] = {"stderr": True, "markup": False, "emoji": False}
    console = Console(**as_it_is)
    return console if console.is_terminal else Console(**as_it_is, width=_WIDTH_OF_A_LOG)


def main() -> None:
    """Run the command line; an error that a person can mend, or a signal, is one message and its exit code."""
    try:
        have_a_home()
        Stop().listen()
        app()
    except Interrupted as interrupted:
        _give_up(interrupted.told, interrupted.exit_code)
    except EigTuneError as error:
        _give_up(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        what = f"{error.filename or 'a file'} cannot be written ({error.strerror or error})"
        _give_up(f"{what}; make room: a search, comparison or run goes on with --resume", EigTuneError.exit_code)

    finally:
        end_quietly_from_now_on()


def _give_up(message: str, exit_code: int) -> None:
    print(f"eig-tune: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(exit_code)
