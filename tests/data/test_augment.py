"""Augmentation: one warp per image, from the generator that is passed in."""

import math

import pytest
import torch
from kornia.geometry.transform import warp_perspective
from pydantic import ValidationError
from torch import Tensor

from eig_tune.data import AugmentSettings
from eig_tune.data.augment import augment, draw_warps

STILL = AugmentSettings(rotation=0, zoom=0, shear=0, shift=0, distortion=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6, size: int = 16, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=seeded(99))


def only(**settings: float) -> AugmentSettings:
    return STILL.model_copy(update=settings)


@pytest.mark.parametrize("channels", [1, 3])
def test_batch_equals_one_image_at_a_time_under_the_same_warps(channels: int) -> None:
    images = pictures(channels=channels)
    settings = AugmentSettings()
    warps = draw_warps(len(images), 16, settings, seeded())
    expected = torch.cat(
        [
            warp_perspective(image[None], warp[None], (16, 16), padding_mode="border")
            for image, warp in zip(images, warps, strict=True)
        ]
    )
    torch.testing.assert_close(augment(images, settings, seeded()), expected)


def test_every_image_has_a_warp_of_its_own() -> None:
    same = pictures(1).expand(8, -1, -1, -1)
    changed = augment(same, AugmentSettings(), seeded())
    distances = torch.cdist(changed.flatten(1), changed.flatten(1))
    assert (distances + torch.eye(8) > 0.1).all()


def test_nothing_happens_when_everything_is_off() -> None:
    images = pictures(channels=3)
    torch.testing.assert_close(augment(images, STILL, seeded()), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["rotation", "zoom", "shear", "shift", "distortion"])
def test_each_setting_changes_the_images_by_itself(name: str) -> None:
    images = pictures()
    settings = only(**{name: getattr(AugmentSettings(), name)})
    assert (augment(images, settings, seeded()) - images).abs().amax(dim=(1, 2, 3)).min() > 0.01


@pytest.mark.parametrize("flip", [False, True])
def test_generator_decides_everything(flip: bool) -> None:
    images = pictures()
    settings = AugmentSettings(flip=flip)
    first = augment(images, settings, seeded(1))
    torch.testing.assert_close(augment(images, settings, seeded(1)), first, atol=0, rtol=0)
    assert not torch.equal(augment(images, settings, seeded(2)), first)


def test_global_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    augment(pictures(), AugmentSettings(flip=True), seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_images_given_are_left_alone() -> None:
    images = pictures()
    before = images.clone()
    augment(images, AugmentSettings(flip=True), seeded())
    assert torch.equal(images, before)


def test_flip_mirrors_about_half_of_the_images_and_changes_no_other() -> None:
    images = pictures(200, size=8)
    changed = augment(images, only(flip=True), seeded())
    same = (changed - images).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (changed - images.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


def test_rotation_zoom_and_shear_keep_the_centre_in_its_place() -> None:
    warps = draw_warps(50, 16, AugmentSettings(rotation=90, zoom=0.5, shear=20, shift=0, distortion=0), seeded())
    centre = torch.tensor([7.5, 7.5, 1.0])
    torch.testing.assert_close(warps @ centre, centre.expand(50, 3), atol=1e-4, rtol=0)


def test_rotation_covers_its_range_and_no_more() -> None:
    warps = draw_warps(2000, 16, only(rotation=30), seeded())
    angles = torch.rad2deg(torch.atan2(warps[:, 0, 1], warps[:, 0, 0]))
    assert 29 < angles.max() <= 30.001
    assert -30.001 <= angles.min() < -29
    assert angles.mean().abs() < 2


def test_zoom_covers_its_range_and_no_more() -> None:
    warps = draw_warps(2000, 16, only(zoom=0.2), seeded())
    scales = torch.sqrt(torch.linalg.det(warps[:, :2, :2]))
    assert 1.19 < scales.max() <= 1.2001
    assert 0.7999 <= scales.min() < 0.81


def test_shear_covers_its_range_and_no_more() -> None:
    warps = draw_warps(2000, 16, only(shear=10), seeded())
    tangents = warps[:, 0, 1].abs()
    assert 0.97 * math.tan(math.radians(10)) < tangents.max() <= 1.001 * math.tan(math.radians(10))


@pytest.mark.parametrize("size", [16, 64])
def test_shift_is_a_share_of_the_side(size: int) -> None:
    warps = draw_warps(2000, size, only(shift=0.25), seeded())
    shifts = warps[:, :2, 2]
    assert 0.24 * size < shifts.abs().max() <= 0.2501 * size
    torch.testing.assert_close(warps[:, :2, :2], torch.eye(2).expand(2000, 2, 2))


def test_distortion_moves_the_corners_by_a_share_of_the_side() -> None:
    warps = draw_warps(500, 16, only(distortion=0.1), seeded())
    corners = torch.tensor([[0.0, 0, 1], [15, 0, 1], [15, 15, 1], [0, 15, 1]])
    moved = warps @ corners.T  # [N, 3, 4]
    shifts = moved[:, :2] / moved[:, 2:] - corners.T[:2]
    assert 1.5 < shifts.abs().max() <= 1.6 + 1e-3
    assert (warps[:, 2, :2].abs().amax(dim=1) > 0).all()


def test_shifted_picture_moves_with_its_warp() -> None:
    images = torch.zeros(20, 1, 33, 33)
    images[:, :, 15:18, 15:18] = 1
    settings = only(shift=0.2)
    warps = draw_warps(20, 33, settings, seeded())
    changed = augment(images, settings, seeded())[:, 0]
    grid = torch.arange(33.0)
    mass = changed.sum(dim=(1, 2))
    x, y = (changed.sum(dim=1) @ grid) / mass, (changed.sum(dim=2) @ grid) / mass
    torch.testing.assert_close(torch.stack([x, y], dim=1) - 16, warps[:, :2, 2], atol=1e-2, rtol=0)


def test_border_repeats_outwards() -> None:
    white = torch.ones(10, 1, 16, 16)
    torch.testing.assert_close(augment(white, AugmentSettings(shift=0.4), seeded()), white, atol=1e-4, rtol=0)


@pytest.mark.parametrize("settings", [{"rotation": 181}, {"zoom": 1}, {"shear": 45}, {"shift": -0.1}, {"tilt": 3}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings(**settings)  # type: ignore[arg-type]
