"""Signs that a trial's model has collapsed, at a report, from metrics that the trial reports in any case.

How much information about an image (in nats) the category of a good model carries depends on the data: with ten even
classes it is log 10 = 2.3, with two of 95 % and 5 % it is 0.2. So no threshold is a number of nats: each is a share of
what the quantity could be. K is the number of categories.
"""

import math
from collections.abc import Mapping

# Share of the entropy of Q's mean: all of it is information if Q is sure of every image, none if Q is vague.
_LEAST_INFORMATION = 0.02
# Share of log K.
_CERTAINLY_INFORMED = 0.13
# Shares of log K. Below the first a prior may be collapsed or be that of very uneven classes, and Q shows which; below
# the second (ten categories: 99.6 % in one) there is one category, since a batch has hardly ever an image of another.
_NEARLY_ONE_CATEGORY = 0.09
_ONE_CATEGORY = 0.01
# Of very uneven classes: more than any good model's Q differs from its prior, and less information than it has, as a
# share of the prior's entropy.
_MOST_ELSEWHERE = 0.3
_LEAST_INFORMATION_OF_PRIOR = 0.2
# A discriminator that is never in doubt has a loss of 0; one that guesses has 2·log 2 = 1.4.
_LEAST_DISCRIMINATOR_LOSS = 0.01


def not_a_number(metrics: Mapping[str, float]) -> str | None:
    """The name of the first metric that is NaN or infinite, or None."""
    return next((name for name, value in metrics.items() if not math.isfinite(value)), None)


def sign_of_collapse(
    metrics: Mapping[str, float],
    categories: int,
    most_information: float,
    share_of_budget: float,
    *,
    learns_prior: bool,
) -> str | None:
    """What has collapsed, in words; None while all is well.

    Before the first rung a model may show all of these signs and still recover. A Q without information may be just
    slow, unless it had some once or has used up half of its budget.

    Args:
        metrics: what the trial reports now.
        categories: K.
        most_information: the highest ``q_mutual_information`` that the trial has reported before, in nats.
        share_of_budget: steps done, over the full budget.
        learns_prior: whether training moves the prior; one that is given cannot collapse.
    """
    if metrics.get("discriminator_loss", math.inf) < _LEAST_DISCRIMINATOR_LOSS:
        return f"saturated discriminator: its loss is {metrics['discriminator_loss']:.4f}, G learns nothing from it"
    if learns_prior and (sign := _prior_collapse(metrics, math.log(categories))) is not None:
        return sign
    is_late = most_information > _CERTAINLY_INFORMED * math.log(categories) or share_of_budget >= 0.5
    # JointVAE, which has no discriminator, gains information as its capacity grows.
    return _category_collapse(metrics, math.log(categories)) if is_late and "discriminator_loss" in metrics else None


def _category_collapse(metrics: Mapping[str, float], most: float) -> str | None:
    """Q puts all images into one category, or each to a small part into every category."""
    information = metrics.get("q_mutual_information", math.inf)
    entropy_of_mean = information + metrics.get("q_entropy", 0.0)
    known = f"category collapse: Q has just {information:.3f} nats of information about a real image"
    if entropy_of_mean < _ONE_CATEGORY * most:
        return f"{known}, it puts nearly all in one category"
    if information < _LEAST_INFORMATION * entropy_of_mean:
        return f"{known}, it sees each in many categories"
    return None


def _prior_collapse(metrics: Mapping[str, float], most: float) -> str | None:
    """Nearly all of the prior is in one category, and not because nearly all images are of one class: then Q would
    agree with the prior, and recognise the few others."""
    entropy = metrics.get("prior_entropy", math.inf)
    if entropy >= _NEARLY_ONE_CATEGORY * most:
        return None
    of_prior = f"prior collapse: its entropy is {entropy:.3f} of at most {most:.3f} nats, nearly all in one category"
    if entropy < _ONE_CATEGORY * most:
        return of_prior
    if (elsewhere := metrics.get("prior_posterior_gap", 0.0)) > _MOST_ELSEWHERE:
        return f"{of_prior}, but Q puts {elsewhere:.0%} of the real images elsewhere"
    information = metrics.get("q_mutual_information", math.inf)
    if information < _LEAST_INFORMATION_OF_PRIOR * entropy:
        return f"{of_prior}, and Q has just {information:.3f} nats of information about a real image"
    return None
