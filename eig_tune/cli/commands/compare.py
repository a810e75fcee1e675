"""``eig-tune compare``."""

from typing import Annotated

import typer

from eig_tune import strict_json
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
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    time_budget: TimeBudgetOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the paper's table: every method on every imbalance with every seed, mean ± standard deviation."""
    from eig_tune.config.unused import find_unused_in_comparison
    from eig_tune.home import writable_home
    from eig_tune.reports.outcomes import comparison_document
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.tables import print_comparison
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.compare import Plan, parse_methods, parse_splits, run_comparison, winners_of
    from eig_tune.workflows.options import RunOptions
    from eig_tune.workflows.prepare import warn_of_unused

    stop, per_gpu = Stop(seconds_of(time_budget)), trials_sharing_a_gpu(trials_per_gpu)
    chosen, numbers = parse_methods(methods), parse_splits(splits)
    spec = read_spec(space, {"train.steps": steps, "dataset.root": root}, searching=False)
    console, place = message_console(), writable_home(home)
    uri = store_uri(tracking_uri, place.path)
    warn_of_unused(find_unused_in_comparison(spec, chosen))
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
    winners = winners_of(best_of, chosen, options, place) if best_of is not None else {}
    with stop.listening():
        outcome = run_comparison(spec, Plan(chosen, numbers, seeds, winners), options, place, TerminalView(console))
        print_comparison(outcome, chosen, console)
        if as_json:
            typer.echo(strict_json.dumps(comparison_document(outcome, chosen)))
    if stop.signal is not None:
        raise Interrupted(stop.signal)
