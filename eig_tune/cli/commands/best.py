"""``eig-tune best``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eig_tune import strict_json
from eig_tune.cli.options import FoundOption, HomeOption, JsonOption, UriOption, path_option
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME

if TYPE_CHECKING:
    from eig_tune.tracking import TrackedSearch


def best(
    name: FoundOption = None,
    by: Annotated[
        str,
        typer.Option(
            help="An objective such as nmi, or knee, the nearest to the best of every objective. Chosen from are the "
            "confirmed trials, or all finished ones where none was confirmed."
        ),
    ] = "knee",
    trial: Annotated[
        int | None, typer.Option("--trial", min=0, help="Take this finished trial, whether it is the best or not.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the front and all confirmed trials, and where their models are.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(**path_option("--export"), help="Write the model into this new folder.")
    ] = None,
    merge_to: Annotated[
        str | None,
        typer.Option(
            help="With --export: put categories that look alike together into so many groups; auto goes by how alike "
            "they look.",
            metavar="INTEGER|auto",
        ),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(
            help="Make the model a version of this registered MLflow model, and its champion if it is better."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --register: make it the champion even if it is no better.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the best trial of a search; export its model, or register it in MLflow."""
    from eig_tune.api.reading import range_ends_of
    from eig_tune.api.search import open_search
    from eig_tune.cli.hints import command
    from eig_tune.export.export_trial import export_trial, lacks_model, read_trial_categories
    from eig_tune.export.register_trial import register_trial
    from eig_tune.reports.outcomes import best_document
    from eig_tune.terminal.best import print_best, print_categories, print_found, print_groups
    from eig_tune.terminal.console import message_console, result_console

    _check(by, trial, listed, export, merge_to, register, force)
    console, results = message_console(), result_console(as_json)
    result = open_search(name, home=home, tracking_uri=tracking_uri)
    print_found(result.found, console)
    if listed:
        _list(result.found, results, as_json)
        words = ("best", "--name", result.name, "--trial", "N", "--export", "DIR")
        console.print(f"take one home: {command(*words, home=home, tracking_uri=tracking_uri)}", soft_wrap=True)
        return
    choice = result.best(by) if trial is None else result.trial(trial)
    found, chosen, by = choice.search, choice.trial, choice.by
    print_best(chosen, found, by, results)
    for line in range_ends_of(found):
        results.print(line, soft_wrap=True)
    model = choice.trial_model
    results.print(f"its model: {model}", soft_wrap=True)
    categories = read_trial_categories(found, model)
    print_categories(categories, model.metrics, results)
    lacking = lacks_model(found, chosen, model)
    if lacking is not None and export is None and register is None:
        console.print(lacking, style="yellow", soft_wrap=True)
    document = {**best_document(chosen, found, by, categories), "has_model": lacking is None}
    document["model"] = {"run_id": model.run_id, "seed": model.seed, "why": model.why, "metrics": dict(model.metrics)}
    if export is not None:
        groups = export_trial(found, chosen, model, export, by, merge_to)
        console.print(f"model written to {export}", soft_wrap=True)
        if groups is not None:
            print_groups(groups, results)
            document["groups"] = {"of_category": groups.of_category, "shares": groups.shares, **groups.metrics}
    if register is not None:
        made = register_trial(found, chosen, model, register, by, force, export)
        console.print(str(made), soft_wrap=True)
        document["registered"] = {"name": made.name, "version": made.version, "champion": made.champion}
    if as_json:
        typer.echo(strict_json.dumps(document))


def _check(
    by: str,
    trial: int | None,
    listed: bool,
    export: Path | None,
    merge_to: str | None,
    register: str | None,
    force: bool,
) -> None:
    """Refuse options that do not go together, before anything is looked for."""
    from eig_tune.export.merge import parse_merge_to
    from eig_tune.tracking.registry import check_model_name

    if force and register is None:
        raise EigTuneError("--force: goes with --register NAME only")
    if register is not None:
        check_model_name(register)
    if merge_to is not None:
        if export is None:
            raise EigTuneError("--merge-to: goes with --export DIR only")
        parse_merge_to(merge_to)
    if trial is not None and by != "knee":
        raise EigTuneError("--trial: names the trial; leave --by out")
    if listed and (trial is not None or export is not None or register is not None):
        raise EigTuneError("--list: shows all; take one of them home by --trial N, without --list")


def _list(found: "TrackedSearch", results: Any, as_json: bool) -> None:
    """Print the confirmed trials, the best by the knee first, and the front."""
    from eig_tune.export.listed import worth_a_look
    from eig_tune.terminal.models import print_listed

    listed = worth_a_look(found)
    if as_json:
        typer.echo(strict_json.dumps([each.document() for each in listed]))
    else:
        print_listed(found, listed, results)
