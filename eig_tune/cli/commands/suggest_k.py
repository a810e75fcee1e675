"""``eig-tune suggest-k``."""

from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.ending import end
from eig_tune.cli.options import (
    AddressOption,
    AutoscaleOption,
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


def suggest_k(
    space: SpaceOption,
    categories: Annotated[str, typer.Option(help="Numbers K to try, separated by commas.")] = "2,3,5,8,10,14,20",
    seeds: Annotated[int, typer.Option(help="Runs of each K, 3 or more.")] = 3,
    best_of: Annotated[
        str | None,
        typer.Option(help="Take the params from the best trial of this search (its name, or the id of its run)."),
    ] = None,
    name: NameOption = None,
    steps: StepsOption = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    trials_per_gpu: TrialsPerGpuOption = "1",
    cpus: CpusOption = None,
    address: AddressOption = None,
    autoscale: AutoscaleOption = False,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    time_budget: TimeBudgetOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Suggest the number of categories without labels: train a few seeds of each, and see which of them agree."""
    from eig_tune.api.suggesting import suggest_k as run_suggestion
    from eig_tune.reports.outcomes import suggestion_document
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.fixed_runs import print_suggestion
    from eig_tune.terminal.view import TerminalView

    stop, per_gpu = Stop(seconds_of(time_budget)), trials_sharing_a_gpu(trials_per_gpu)
    spec, console = read_spec(space, {"train.steps": steps, "dataset.root": root}, searching=False), message_console()
    with stop.listening():
        result = run_suggestion(
            spec,
            categories=categories,
            seeds=seeds,
            best_of=best_of,
            name=name or f"{space.stem}-k",
            home=home,
            tracking_uri=tracking_uri,
            resume=resume,
            gpus=gpus,
            trials_per_gpu=per_gpu,
            cpus=cpus,
            address=address,
            autoscale=autoscale,
            storage=storage,
            view=TerminalView(console),
            stop=stop,
        )
        print_suggestion(result.outcome, result_console(as_json), console)
        if as_json:
            typer.echo(strict_json.dumps(suggestion_document(result.outcome)))
    end(stop, result.outcome.stopped)
