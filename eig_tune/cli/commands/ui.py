"""``eig-tune ui``."""

from typing import Annotated

import typer

from eig_tune.cli.options import HomeOption, UriOption
from eig_tune.home import DEFAULT_HOME


def ui(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of a search, or the id of its run; the newest by default.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Open the MLflow UI on this home's store, until Ctrl-C, after which the exit code is 0, and print the address of a
    search's trials in it. A store that is a server has a UI of its own, of which the address is printed alone."""
    from eig_tune.api.running import store_uri
    from eig_tune.home import Home
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.tracking import is_server
    from eig_tune.tracking.ui import check_exists, check_port, serve_ui, trials_page
    from eig_tune.workflows.identity import own_searches

    uri, serves = store_uri(tracking_uri, home), message_console()
    check_exists(uri)
    if not is_server(uri):
        check_port(port)
    page = trials_page(uri, name, own_searches(Home(home), name))
    if is_server(uri):
        result_console().print(f"{uri.rstrip('/')}/{page}", highlight=False, soft_wrap=True)
        return
    shown = f"MLflow UI: http://127.0.0.1:{port}/{page}  (Ctrl-C ends it)"
    serves.print(shown, highlight=False, soft_wrap=True)
    raise typer.Exit(serve_ui(uri, home, port))
