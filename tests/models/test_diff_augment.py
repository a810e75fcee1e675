"""Differentiable augmentation: each change image by image, its gradient, and that it is off by default."""

import pytest
import torch
from torch import Tensor

from eig_tune.models import ModelSettings
from eig_tune.models.diff_augment import change_colour, cut_out, diff_augment, translate

SIDE = 16
ALL = {"diff_translation": 0.25, "diff_cutout": 0.5, "diff_colour": 1.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 200, channels: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(count, channels, SIDE, SIDE, generator=seeded(seed), dtype=torch.float64) * 2 - 1


def shifted(image_CSS: Tensor, down: int, right: int) -> Tensor:
    """By whole pixels, 0 from outside."""
    moved = torch.zeros_like(image_CSS)
    for row in range(SIDE):
        for column in range(SIDE):
            if 0 <= row + down < SIDE and 0 <= column + right < SIDE:
                moved[:, row, column] = image_CSS[:, row + down, column + right]
    return moved


def test_without_settings_nothing_is_changed_and_nothing_drawn() -> None:
    given, generator = images(), seeded()
    before = generator.get_state()
    assert diff_augment(given, ModelSettings(), generator) is given
    assert torch.equal(generator.get_state(), before)


def test_each_image_is_translated_by_a_shift_of_its_own_of_at_most_the_share() -> None:
    given = images()
    moved = translate(given, 2 / SIDE, seeded())
    found = set()
    for before, after in zip(given, moved, strict=True):
        fits = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if torch.equal(shifted(before, y, x), after)]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) == 25


@pytest.mark.parametrize("share", [0.5, 0.31, 1 / SIDE])
def test_a_square_is_cut_out_whose_middle_is_in_the_image(share: float) -> None:
    cut, given = round(share * SIDE), images()
    gone = cut_out(given, share, seeded()) != given
    assert torch.equal(gone.any(dim=1), gone.all(dim=1))
    sizes = set()
    for hole in gone.any(dim=1):
        rows, columns = hole.any(dim=1).nonzero().flatten(), hole.any(dim=0).nonzero().flatten()
        assert hole.sum() == len(rows) * len(columns)  # one rectangle without gaps
        sizes.add((len(rows), len(columns)))
    assert max(sizes) == (cut, cut)
    assert min(min(size) for size in sizes if size != (0, 0)) >= cut // 2
    assert torch.equal(cut_out(given, share, seeded())[~gone], given[~gone])


def test_colours_change_by_brightness_saturation_and_contrast_within_their_reach() -> None:
    given = images()
    changed = change_colour(given, 1.0, seeded())
    brighter = changed.mean(dim=(1, 2, 3)) - given.mean(dim=(1, 2, 3))
    assert brighter.abs().max() <= 0.5
    assert brighter.std() > 0.2
    grey, grey_before = changed.mean(dim=1), given.mean(dim=1)
    contrast = grey.flatten(1).std(dim=1) / grey_before.flatten(1).std(dim=1)
    assert 0.5 <= contrast.min() < 0.6 and 1.4 < contrast.max() <= 1.5
    colour = (changed - changed.mean(dim=1, keepdim=True)).flatten(1).std(dim=1)
    saturation = colour / (given - given.mean(dim=1, keepdim=True)).flatten(1).std(dim=1) / contrast
    assert 0 <= saturation.min() < 0.1 and 1.9 < saturation.max() <= 2.0


def test_strength_scales_the_changes_of_colour() -> None:
    given = images()
    weak, strong = (change_colour(given, strength, seeded()) for strength in (0.01, 1.0))
    assert (weak - given).abs().max() < 0.05 * (strong - given).abs().max()


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_reach_the_images_as_finite_differences_do(channels: int) -> None:
    settings = ModelSettings.model_validate(ALL)

    def changed(given: Tensor) -> Tensor:
        return diff_augment(given, settings, seeded())

    given = images(2, channels)[:, :, :6, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(changed, [given])


@pytest.mark.parametrize("name", ALL)
def test_each_setting_switches_its_own_change_on(name: str) -> None:
    given = images(8)
    alone = diff_augment(given, ModelSettings.model_validate({name: ALL[name]}), seeded())
    direct = {"diff_translation": translate, "diff_cutout": cut_out, "diff_colour": change_colour}[name]
    assert torch.equal(alone, direct(given, ALL[name], seeded()))
    assert not torch.equal(alone, given)
