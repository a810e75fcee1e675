"""``eig-tune search``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.commands.validate import print_plan_of
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

if TYPE_CHECKING:
    from eig_tune.reports.outcomes import SearchOutcome


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
    autoscale: AutoscaleOption = False,
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
        print_plan_of(spec, home, gpus, per_gpu, cpus, address)
        return
    from eig_tune.api.search import search as run_search
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
            autoscale=autoscale,
            storage=storage,
            warm_start=warm_start,
            view=TerminalView(console),
            stop=stop,
        )
        assert result.outcome is not None, "it has just been run"
        hints = _hints(result.outcome, home, tracking_uri)
        print_search(result.outcome, result.spec, result_console(as_json), console, hints)
        if as_json:
            typer.echo(strict_json.dumps(search_document(result.outcome)))
    end(stop, result.outcome.stopped)


def _hints(outcome: "SearchOutcome", home: Path, tracking_uri: str | None) -> list[str]:
    """Where to look at the search, and how to take the best model home."""
    from eig_tune.api.running import store_uri
    from eig_tune.cli.hints import command

    served = ""
    if not store_uri(tracking_uri, home).startswith("http"):
        served = f" (while this runs: {command('ui', outcome.name, home=home, tracking_uri=tracking_uri)})"
    looks = [f"MLflow: {outcome.link}{served}", *(f"plots: {page}" for page in _pages(outcome, home))]
    best = command("best", "--name", outcome.name, "--export", "DIR", home=home, tracking_uri=tracking_uri)
    return [*looks, f"next: {best}"] if outcome.front else looks


def _pages(outcome: "SearchOutcome", home: Path) -> list[Path]:
    """The page of plots, if the store is the home's own, which has it as a file."""
    from eig_tune.home import Home

    page = Home(home).artifacts(outcome.name) / outcome.run_id / "artifacts" / "search.html"
    return [page] if page.is_file() else []
