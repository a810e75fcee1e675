"""``eig-tune init``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.options import HomeOption, JsonOption, path_option
from eig_tune.errors import ConfigError, EigTuneError, Problem
from eig_tune.home import DEFAULT_HOME
from eig_tune.schema import suggestion

if TYPE_CHECKING:
    from eig_tune.data import DatasetConfig
    from eig_tune.workflows.first_space import Asked


def init(
    images: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="The folder of your images; or a list or an array of them, as docs/data.md has it; or the name of a "
            "published data set, such as mnist.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", **path_option("--out"), help="The file to write; named as the images.")
    ] = None,
    time: Annotated[str, typer.Option(help="How long the search shall take, such as 30m, 2h or 1h30m.")] = "2h",
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at once, for a cluster; by default one for each GPU or CPU of this machine."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="What the images show, for δ: signs, photographs, from-above or other; guessed by default."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the images, a multiple of 4 (dataset.image_size).")
    ] = None,
    channels: Annotated[int | None, typer.Option(help="1 is grey, 3 is colour (dataset.channels).")] = None,
    categories: Annotated[int | None, typer.Option(help="How many categories (model.categories).")] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", **path_option("--labels"), help="The .npy file of an array's labels.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", **path_option("--root"), help="Where a published data set lies.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Look at images and write a commented space file that fits them, and whose search takes about as long as you say.

    Prints what it has seen and the plan of the search. `eig-tune validate --full FILE` shows what the file leaves out.
    """
    from eig_tune.api.running import home_at
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.first_space import print_first_space
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.find_source import find_source
    from eig_tune.workflows.first_space import fit_to_time, look_at_images_of
    from eig_tune.workflows.first_space_document import first_space_document

    source = find_source(images, root, labels, image_size, channels)
    file = out or Path(f"{Path(images).absolute().name.partition('.')[0] or 'space'}.yaml")
    if file.exists() and not force:
        raise EigTuneError(f"--out: there is {file} already; give another name, or --force to write over it")
    if not file.parent.is_dir():
        raise EigTuneError(f"--out: there is no folder {file.parent} to write {file.name} to; make it, or give another")
    place, console = home_at(home), message_console()
    asked = _asked(source, time, slots, kind, categories)
    first = fit_to_time(look_at_images_of(asked, place, TerminalView(console)), asked, place)
    _write(file, first.text)
    print_first_space(first, result_console(as_json))
    if as_json:
        typer.echo(strict_json.dumps(first_space_document(first, file)))
    console.print(f"{shlex.quote(str(file))} is written; look at it, then: {_search(file, place.path)}", soft_wrap=True)


def _asked(dataset: "DatasetConfig", time: str, slots: int | None, kind: str | None, categories: int | None) -> "Asked":
    from eig_tune.cluster.resources import gpus_of_this_machine, slots_of_this_machine
    from eig_tune.config.durations import parse_duration
    from eig_tune.data.kinds import KINDS
    from eig_tune.workflows.first_space import Asked

    if kind is not None and kind not in KINDS:
        raise ConfigError("eig-tune init", [Problem("--kind", f"no such kind{suggestion(kind, KINDS)}")])
    seconds, gpu = parse_duration(time, "--time"), gpus_of_this_machine() > 0
    return Asked(dataset, seconds, slots or slots_of_this_machine(), gpu, kind, categories)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EigTuneError(f"--out: {file} cannot be written ({error.strerror}); give another one") from error


def _search(file: Path, home: Path) -> str:
    from eig_tune.cli.hints import command

    return command("search", "--space", str(file), home=home)
