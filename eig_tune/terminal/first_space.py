"""What `eig-tune init` has seen of the images, and what the space file that it wrote comes to."""

from rich.console import Console

from eig_tune.config.durations import duration_in_words
from eig_tune.terminal.facts import print_facts
from eig_tune.terminal.plan import print_plan
from eig_tune.workflows.first_space import FirstSpace


def print_first_space(first: FirstSpace, console: Console) -> None:
    """The facts of the images, then the plan of the search."""
    guess = first.seen.guess
    guessed = f", guessed: {guess.reason} (--kind has others)" if guess.reason else ""
    planned = {
        "kind": f"{guess.kind.name} ({guess.kind.meaning}){guessed}",
        "time": f"about {duration_in_words(first.seconds)} with {first.plan.slots} trials at once",
    }
    print_facts(first.spec.dataset, first.seen.images, first.seen.look, console, planned)
    print_plan(first.spec, [first.plan], first.cost, console)
