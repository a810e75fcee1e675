"""What Optuna logs, which it prints on stderr itself."""

import optuna


def log_only_errors() -> None:
    """Have Optuna log nothing but errors.

    Its warnings are about studies as they are meant here: without a completed or feasible trial yet, or of another
    sampler than before. eig-tune says itself what of that a person should know.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
