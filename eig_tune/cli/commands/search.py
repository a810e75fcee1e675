"""``eig-tune search``."""

from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.commands.validate import print_plan_of
from eig_tune.cli.ending import end
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
    trials_sharing_a_gpu,
)
from eig_tune.home import DEFAULT_HOME
from eig_tune.stopping import Stop


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
    from eig_tune.api.search import search as run_search
    from eig_tune.cli.hints import command
    from eig_tune.reports.outcomes import search_document
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.search import print_search
    from eig_tune.terminal.view import TerminalView

    console = message_console()
    with stop.listening():
        result = run_search(
            spec,
            name=name or space.stem,
            home=home,
            tracking_uri=tracking_uri,
            resume=resume,
            gpus=gpus,
            trials_per_gpu=per_gpu,
            cpus=cpus,
            address=address,
            storage=storage,
            warm_start=warm_start,
            view=TerminalView(console),
            stop=stop,
        )
        assert result.outcome is not None, "it has just been run"
        hint = command("best", "--name", result.outcome.name, "--export", "DIR", home=home, tracking_uri=tracking_uri)
        print_search(result.outcome, result.spec, result_console(as_json), console, hint)
        if as_json:
            typer.echo(strict_json.dumps(search_document(result.outcome)))
    end(stop, result.outcome.stopped)
