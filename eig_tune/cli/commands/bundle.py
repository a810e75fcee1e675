"""``eig-tune predict`` and ``eig-tune sample``: what is done with a model that ``best --export`` wrote."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from eig_tune.cli.options import BundleArgument, HomeOption, UriOption, path_option
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME


def predict(
    bundle: BundleArgument,
    images: Annotated[list[Path], typer.Argument(**path_option("IMAGES"), help="Image files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(**path_option("--out"), help="CSV file; stdout by default.")] = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Write the category of every image, its probability and the entropy of Q(c|x), as CSV; its group where the bundle
    has groups."""
    from eig_tune.api.running import store_uri
    from eig_tune.export import open_bundle
    from eig_tune.export.inference import find_images, write_predictions
    from eig_tune.export.inference import predict as predictions
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.prepare import log_left_out

    console = message_console()
    record, model = open_bundle(bundle, store_uri(tracking_uri, home))
    files, left_out = find_images(images)
    with _csv_file(out) as opened, TerminalView(console).progress_bar("reading images") as on_progress:
        found = predictions(record, model, files, left_out.append, on_progress)
        count = write_predictions(found, opened, grouped=bool(record.groups))
    if left_out:
        log_left_out(left_out, out.with_suffix(".left-out.csv") if out is not None and out.is_file() else None)
    console.print(f"{count} of {len(files)} images", highlight=False, soft_wrap=True)


def sample(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option(**path_option("--out"), help="Picture (.png) or arrays (.npz).")],
    category: Annotated[int | None, typer.Option(help="One category; all by default.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="Images of each category.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Draw images of every category, or of one."""
    from eig_tune.api.running import store_uri
    from eig_tune.export import open_bundle
    from eig_tune.export.inference import sample as samples
    from eig_tune.export.inference import write_samples
    from eig_tune.terminal.console import message_console

    _, model = open_bundle(bundle, store_uri(tracking_uri, home))
    categories = list(range(model.categories)) if category is None else [category]
    write_samples(samples(model, categories, number, seed), categories, out, model.prior_probabilities().numpy())
    message_console().print(f"samples written to {out}", highlight=False, soft_wrap=True)


@contextmanager
def _csv_file(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    try:
        with out.open("w", newline="", encoding="utf-8") as opened:
            yield opened
    except OSError as error:
        raise EigTuneError(f"--out: {out} cannot be written ({error.strerror})") from error
