"""``eig-tune compare``."""

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


def compare(
    space: SpaceOption,
    methods: Annotated[str, typer.Option(help="Methods to compare: all, or names separated by commas.")] = "all",
    splits: Annotated[str, typer.Option(help="Imbalances: 0-4, or 0,2,5; p-values need four or more.")] = "0-4",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every method on every imbalance.")] = 2,
    best_of: Annotated[
        str | None, typer.Option(help="Take each method's params from this search (its name, or the id of its run).")
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
    """Make the paper's table: every method on every imbalance with every seed, mean ± standard deviation."""
    from eig_tune.api.comparing import compare as run_comparison
    from eig_tune.reports.outcomes import comparison_document
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.fixed_runs import print_comparison
    from eig_tune.terminal.view import TerminalView

    stop, per_gpu = Stop(seconds_of(time_budget)), trials_sharing_a_gpu(trials_per_gpu)
    spec, console = read_spec(space, {"train.steps": steps, "dataset.root": root}, searching=False), message_console()
    with stop.listening():
        result = run_comparison(
            spec,
            methods=methods,
            splits=splits,
            seeds=seeds,
            best_of=best_of,
            name=name or f"{space.stem}-compare",
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
        print_comparison(result.outcome, result.methods, result_console(as_json), console)
        if as_json:
            typer.echo(strict_json.dumps(comparison_document(result.outcome, result.methods)))
    end(stop, result.outcome.stopped)
