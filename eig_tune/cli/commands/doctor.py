"""``eig-tune doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.options import (
    AddressOption,
    AutoscaleOption,
    CpusOption,
    GpusOption,
    HomeOption,
    JsonOption,
    RootOption,
    StorageOption,
    UriOption,
    path_option,
    read_spec,
)
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME


def doctor(
    space: Annotated[
        Path | None,
        typer.Option("--space", **path_option("--space"), help="A search's YAML file, to check its data too."),
    ] = None,
    root: RootOption = None,
    gpus: GpusOption = None,
    cpus: CpusOption = None,
    address: AddressOption = None,
    autoscale: AutoscaleOption = False,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the place where a search will run: nodes, GPUs, versions, storage, MLflow, data, token.

    Every problem is printed with its remedy; the exit code is 2 where a search could not run.
    """
    from eig_tune.api.running import store_uri
    from eig_tune.cluster.doctor import Place, document, examine, fit
    from eig_tune.cluster.storage_address import named_storage
    from eig_tune.home import writable_home
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.plan import print_checks
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.prepare import check_data

    spec = None if space is None else read_spec(space, {"dataset.root": root})
    console, place = message_console(), writable_home(home)
    uri = store_uri(tracking_uri, place.path)
    checks = examine(Place(address, gpus, cpus, named_storage(storage, place.ray), uri, autoscale))
    if spec is not None:
        checks.append(check_data(spec, place, TerminalView(console)))
    print_checks(checks, result_console(as_json))
    if as_json:
        typer.echo(strict_json.dumps(document(checks)))
    if not fit(checks):
        raise typer.Exit(EigTuneError.exit_code)
