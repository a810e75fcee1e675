"""MLflow answers in pages, of 100 or 1,000 things unless asked for fewer."""

from collections.abc import Callable, Iterator
from typing import Any

PAGE = 1000  # the most that MLflow gives at once


def pages(look_up: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every page of what ``look_up`` finds, given the token of a page; None is the first one's."""
    token = None
    while True:
        page = look_up(token)
        yield page
        if not (token := page.token):
            return


def everything(look_up: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything on all pages."""
    return (thing for page in pages(look_up) for thing in page)


def experiments(client: Any, *, deleted: bool = False) -> Iterator[Any]:
    """Pages of all experiments, the newest first; with ``deleted`` those in MLflow's trash as well."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    return pages(lambda token: client.search_experiments(view_type=view, max_results=PAGE, page_token=token))
