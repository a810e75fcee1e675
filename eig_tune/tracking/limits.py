"""How much MLflow takes, and in which unit it has times."""

# Characters that MLflow's databases take. Older servers refuse a whole batch for one text that is longer.
LONGEST_NAME, LONGEST_PARAM = 250, 500
MOST_METRICS, MOST_PARAMS, MOST_TAGS = 800, 100, 100  # MLflow takes 1,000 of all in one request


def milliseconds(seconds: float) -> int:
    """Since the epoch, as MLflow has times."""
    return int(seconds * 1000)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, which ends in … if it was longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
