"""The description of a registered version, which MLflow's UI shows: the card, its first picture, and a request to
try."""

import re
from shlex import quote

from eig_tune.reports.markdown import Artifacts, apart, fitted, picture
from eig_tune.tracking import masked

_PORT = 5001  # beside the one of `eig-tune ui`
_EXAMPLE = "serving_input_example.json"  # which MLflow writes beside a model: one of its own images
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]*)\)\n*")
# Sections of the card by importance; what is not named comes last, and the use of the files is that of the bundle.
_ORDER = {"How good it is": 2, "What it is for": 3, "Its groups": 4, "Its categories": 5, "What it is not for": 6}
_LEFT_OUT = ("How to use it",)


def describe_version(card: str, artifacts: Artifacts, name: str, number: int, uri: str) -> str:
    """The description of version ``number`` of the registered model ``name``.

    Args:
        card: of its bundle.
        artifacts: knows the addresses of its run's pictures.
        name: the registered model's.
        number: the version's.
        uri: the store's address.
    """
    title, *sections = re.split(r"^## ", _in_long_lines(_PICTURE.sub("", card)), flags=re.MULTILINE)
    parts = [(0, title.strip()), *((1, picture(name, artifacts)) for name in _PICTURE.findall(card)[:1])]
    parts.append((0, f"## Try it\n\nPasted into a shell:\n\n```\n{request_example(name, number, uri)}\n```"))
    parts += [
        (_ORDER.get(heading, max(_ORDER.values()) + 1), f"## {apart(section.strip())}")
        for section in sections
        if (heading := section.partition("\n")[0]) not in _LEFT_OUT
    ]
    return fitted(parts)


def _in_long_lines(markdown: str) -> str:
    """Every paragraph as one line, since the UI shows a newline inside one; what stands in lines stays so."""
    return re.sub(r"(?<=[^|\n])\n(?=[^\s|#-])", " ", markdown)


def request_example(name: str, number: int, uri: str) -> str:
    """Commands of a shell that serve the version and ask it about one of its own images.

    The store's address stands there without its password, which the environment has to have then.
    """
    model, server = f"models:/{name}/{number}", f"http://127.0.0.1:{_PORT}"
    lines = [f"export MLFLOW_TRACKING_URI={quote(uri)}"] if masked(uri) == uri else []
    lines += [
        f"mlflow artifacts download -u {quote(f'{model}/{_EXAMPLE}')} -d .",
        f"mlflow models serve -m {quote(model)} --env-manager local -p {_PORT} &",
        f"curl -sf --retry 300 --retry-delay 1 --retry-connrefused {server}/ping",
        f"curl {server}/invocations -H 'Content-Type: application/json' -d @{_EXAMPLE}",
        "kill %%",
    ]
    return "\n".join(lines)
