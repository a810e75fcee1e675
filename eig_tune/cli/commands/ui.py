"""``eig-tune ui``."""

from typing import Annotated

import typer

from eig_tune.cli.options import HomeOption, UriOption
from eig_tune.home import DEFAULT_HOME


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Open the MLflow UI on this home's store, until Ctrl-C, after which the exit code is 0."""
    from eig_tune.api.running import store_uri
    from eig_tune.terminal.console import message_console
    from eig_tune.tracking.ui import serve_ui

    uri = store_uri(tracking_uri, home)
    message_console().print(f"MLflow UI: http://127.0.0.1:{port}  (Ctrl-C ends it)", highlight=False, soft_wrap=True)
    raise typer.Exit(serve_ui(uri, home, port))
