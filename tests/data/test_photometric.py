"""Changes of light and colour: torchvision's formulas, each image with numbers of its own, nothing while it is off."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional

from eig_tune.data import AugmentSettings
from eig_tune.data.augment import augment
from eig_tune.data.photometric import (
    blur,
    change_photometrically,
    scale_brightness,
    scale_contrast,
    scale_saturation,
    shift_hue,
    standardise_photometrically,
)

FIELDS = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.8, "hue": 0.3, "blur": 0.1, "invert": 0.5}
Change = Callable[..., Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 12, channels: int = 3) -> Tensor:
    """Images in [-1, 1]."""
    return 2 * torch.rand(count, channels, 16, 16, generator=seeded(99)) - 1


def only(**settings: float) -> AugmentSettings:
    return AugmentSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("own", "other", "low", "high"),
    [
        (scale_brightness, functional.adjust_brightness, 0.0, 2.0),
        (scale_contrast, functional.adjust_contrast, 0.0, 2.0),
        (scale_saturation, functional.adjust_saturation, 0.0, 2.0),
        (shift_hue, functional.adjust_hue, -0.5, 0.5),
    ],
)
def test_batch_equals_torchvision_one_image_at_a_time(
    own: Change, other: Callable[[Tensor, float], Tensor], low: float, high: float
) -> None:
    images = (pictures() + 1) / 2
    images[0] = 0.3  # grey, and of no hue
    factors = torch.linspace(low, high, len(images))
    expected = torch.stack([other(image, factor.item()) for image, factor in zip(images, factors, strict=True)])
    torch.testing.assert_close(own(images, factors.view(-1, 1, 1, 1)), expected, atol=2e-3, rtol=0)


def test_blur_equals_torchvision_one_image_at_a_time() -> None:
    images = pictures(4)[..., 2:, 2:]
    sigmas = torch.tensor([0.0, 0.3, 0.9, 1.2])
    blurred = blur(images, sigmas.view(-1, 1, 1, 1), 1.2)
    torch.testing.assert_close(blurred[0], images[0])
    expected = functional.gaussian_blur(images[2], [9, 9], [sigmas[2].item()])  # its border mirrors
    torch.testing.assert_close(blurred[2, :, 5:-5, 5:-5], expected[:, 5:-5, 5:-5], atol=1e-4, rtol=0)


def test_one_channel_has_no_colour_to_weigh() -> None:
    grey = (pictures(channels=1) + 1) / 2
    factors = torch.full((len(grey), 1, 1, 1), 0.5)
    of_three = scale_contrast(grey.expand(-1, 3, -1, -1), factors)
    torch.testing.assert_close(scale_contrast(grey, factors), of_three[:, :1])


def test_grey_images_have_no_colour_to_change() -> None:
    grey = pictures(channels=1)
    changed = change_photometrically(grey, only(saturation=1.0, hue=0.5), seeded())
    torch.testing.assert_close(changed, grey)


def test_nothing_is_drawn_while_everything_is_off() -> None:
    images, generator = pictures(), seeded()
    before = generator.get_state()
    assert change_photometrically(images, AugmentSettings(), generator) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_changes_every_image_in_a_way_of_its_own(name: str) -> None:
    same = pictures(1).expand(40, -1, -1, -1)
    changed = change_photometrically(same, only(**{name: FIELDS[name]}), seeded())
    different = changed.unique(dim=0)
    assert len(different) == 2 if name == "invert" else len(different) >= 30  # a small blur changes nothing
    assert changed.min() >= -1
    assert changed.max() <= 1


@pytest.mark.parametrize("name", FIELDS)
def test_warps_and_flips_stay_the_same(name: str) -> None:
    images = pictures()
    before = augment(images, AugmentSettings(flip=True), seeded(1))
    after = augment(images, only(flip=True, **{name: 1e-6}), seeded(1))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_generator_decides_everything() -> None:
    images = pictures()
    settings = only(**FIELDS)
    first = augment(images, settings, seeded(1))
    assert torch.equal(augment(images, settings, seeded(1)), first)
    assert not torch.equal(augment(images, settings, seeded(2)), first)


def test_images_given_are_left_alone() -> None:
    images = pictures()
    before = images.clone()
    augment(images, only(**FIELDS), seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize(("share", "least", "most"), [(0.25, 70, 130), (1.0, 400, 400)])
def test_share_of_inverted_images(share: float, least: int, most: int) -> None:
    images = pictures(400, channels=1)
    changed = change_photometrically(images, only(invert=share), seeded())
    inverted = (changed + images).abs().amax(dim=(1, 2, 3)) < 1e-5
    kept = (changed - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert (inverted ^ kept).all()
    assert least <= inverted.sum() <= most


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (lambda images: 0.7 * images - 0.1, only(brightness=0.3)),
        (lambda images: 0.5 * images + 0.2, only(contrast=0.5)),
        (lambda images: -0.6 * images, only(invert=0.5)),
        (lambda images: images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1), only()),
    ],
)
def test_standardised_images_do_not_differ_by_what_may_change(change: Change, settings: AugmentSettings) -> None:
    images = pictures(channels=1).pow(3).expand(-1, 3, -1, -1)
    once, again = (standardise_photometrically(some, settings) for some in (images, change(images)))
    torch.testing.assert_close(once, again, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(once[0], once[1])


def test_standardised_images_are_as_they_were_where_delta_is_geometric() -> None:
    images = pictures()
    assert standardise_photometrically(images, AugmentSettings()) is images
    assert standardise_photometrically(images, only(blur=0.1)) is images


def test_standardised_image_of_one_grey_is_finite() -> None:
    images = torch.full((2, 3, 16, 16), 0.25)
    assert standardise_photometrically(images, only(brightness=0.4, hue=0.2, invert=0.5)).abs().max() < 1e-3


def test_a_change_of_hue_is_taken_out_but_for_its_brightness() -> None:
    tint = torch.tensor([0.9, 0.2, 0.4]).view(1, 3, 1, 1)
    images = tint * (pictures(6, 1) + 1) - 1
    settings = only(hue=0.5, saturation=0.5, brightness=0.2)
    turned = change_photometrically(images, only(hue=0.5), seeded())
    assert (turned - images).abs().max() > 0.2
    once, again = (standardise_photometrically(some, settings) for some in (images, turned))
    torch.testing.assert_close(once, again, atol=1e-3, rtol=0)
