"""Homographies and warps against kornia's, which are general and slow."""

import pytest
import torch
from kornia.geometry.transform import get_perspective_transform, warp_perspective
from torch import Tensor

from eig_tune.data.homographies import affine_about_centre, corners_moved, warp


def uniform(*shape: int, bound: float, seed: int = 0) -> Tensor:
    return (2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1) * bound


def some_homographies(size: int, count: int = 20) -> Tensor:
    affine = affine_about_centre(
        size,
        turns_N=uniform(count, bound=2.0),
        scales_N=1 + uniform(count, bound=0.4, seed=1),
        slopes_N2=uniform(count, 2, bound=0.4, seed=2),
        shifts_N2=uniform(count, 2, bound=size / 3, seed=3),
    )
    return affine @ corners_moved(size, uniform(count, 4, 2, bound=size / 5, seed=4))


@pytest.mark.parametrize("size", [4, 17, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_warp_is_that_of_kornia(size: int, channels: int) -> None:
    images = uniform(20, channels, size, size, bound=1.0, seed=5)
    homographies = some_homographies(size)
    expected = warp_perspective(images, homographies, (size, size), padding_mode="border")
    torch.testing.assert_close(warp(images, homographies), expected, atol=1e-4, rtol=0)


def test_closed_form_is_the_solution_of_the_equations() -> None:
    shifts = uniform(50, 4, 2, bound=3.0)
    corners = torch.tensor([[0.0, 0], [15, 0], [15, 15], [0, 15]]).expand(50, 4, 2)
    expected = get_perspective_transform(corners, corners + shifts)
    torch.testing.assert_close(corners_moved(16, shifts), expected, atol=1e-4, rtol=1e-4)


def test_affine_part_is_shear_then_scale_then_turn_about_the_centre_then_shift() -> None:
    turn, scale, slopes = torch.tensor([0.3]), torch.tensor([1.2]), torch.tensor([[0.1, -0.2]])
    shift = torch.tensor([[2.0, -1.0]])
    (found,) = affine_about_centre(9, turn, scale, slopes, shift)
    rotation = torch.tensor([[turn.cos(), turn.sin()], [-turn.sin(), turn.cos()]])
    linear = rotation @ (scale * torch.tensor([[1.0, 0.1], [-0.2, 1.0]]))
    for point in torch.tensor([[4.0, 4.0], [0.0, 0.0], [8.0, 3.0]]):
        expected = linear @ (point - 4) + 4 + shift[0]
        torch.testing.assert_close((found @ torch.cat([point, torch.ones(1)]))[:2], expected)


def test_nothing_moves_by_nothing() -> None:
    still = affine_about_centre(8, torch.zeros(3), torch.ones(3), torch.zeros(3, 2), torch.zeros(3, 2))
    torch.testing.assert_close(still, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(corners_moved(8, torch.zeros(3, 4, 2)), torch.eye(3).expand(3, 3, 3))
