"""``eig-tune search``."""

from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.commands.validate import print_plan_of
from eig_tune.cli.options import (
    AddressOption,
    CpusOption,
    GpusOption,
    HomeOption,
    JsonOption,
    NameOption,
    ResumeOption,
    RootOption,
    SpaceOption,
    StepsOption,
    StorageOption,
    TimeBudgetOption,
    TrialsPerGpuOption,
    UriOption,
    read_spec,
    seconds_of,
    store_uri,
    trials_sharing_a_gpu,
)
from eig_tune.home import DEFAULT_HOME
from eig_tune.stopping import Interrupted, Stop


def search(
    space: SpaceOption,
    name: NameOption = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials (trials).")] = None,
    steps: StepsOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search (seed).")] = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    trials_per_gpu: TrialsPerGpuOption = "1",
    cpus: CpusOption = None,
    address: AddressOption = None,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    time_budget: TimeBudgetOption = None,
    warm_start: Annotated[
        str | None, typer.Option(help="Begin with the Pareto front of this search (its name, or the id of its run).")
    ] = None,
    resume: ResumeOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan as `validate` does, and search nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search for good hyperparameters: Optuna proposes, successive halving promotes, MLflow remembers."""
    stop, per_gpu = Stop(seconds_of(time_budget)), trials_sharing_a_gpu(trials_per_gpu)
    spec = read_spec(space, {"trials": trials, "train.steps": steps, "seed": seed, "dataset.root": root})
    if dry_run:
        print_plan_of(spec, home)
        return
    from eig_tune.config.unused import find_unused_in_search
    from eig_tune.home import writable_home
    from eig_tune.reports.outcomes import search_document
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.tables import print_search
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.options import RunOptions
    from eig_tune.workflows.prepare import warn_of_unused
    from eig_tune.workflows.search import run_search, warm_started

    console, place = message_console(), writable_home(home)
    uri = store_uri(tracking_uri, place.path)
    warn_of_unused(find_unused_in_search(spec))
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
        spec = warm_started(spec, warm_start, options, place)
    with stop.listening():
        outcome = run_search(spec, options, place, TerminalView(console))
        print_search(outcome, spec, console)
        if as_json:
            typer.echo(strict_json.dumps(search_document(outcome)))
    if stop.signal is not None:
        raise Interrupted(stop.signal)
