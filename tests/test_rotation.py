"""The rotation convention: values, labels, shapes, and no shortcuts."""

import math

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from mmrot.rotation import (
    EIGHTH_TURNS,
    QUARTER_TURNS,
    central_square,
    check_angles,
    needs_warp,
    normalised_copies,
    quarter_turn,
    rotated_copies,
    rotation_labels,
)

# An asymmetric image, and its counter-clockwise rotations written by hand.
UPRIGHT = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
BY_HAND = {
    0: UPRIGHT,
    90: [[3, 6, 9], [2, 5, 8], [1, 4, 7]],
    180: [[9, 8, 7], [6, 5, 4], [3, 2, 1]],
    270: [[7, 4, 1], [8, 5, 2], [9, 6, 3]],
}


def random_images(n: int = 3, size: int = 12, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, size, size), generator=generator)
    return images.to(torch.uint8) if dtype == torch.uint8 else images.float() / 255


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32, torch.int64])
@pytest.mark.parametrize('angle', QUARTER_TURNS)
def test_quarter_turn_values(angle, dtype):
    rotated = quarter_turn(torch.tensor(UPRIGHT, dtype=dtype), angle // 90)
    assert rotated.tolist() == BY_HAND[angle]
    assert rotated.dtype == dtype


@pytest.mark.parametrize('k', range(4))
def test_quarter_turn_is_rot90(k):
    image = torch.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert torch.equal(quarter_turn(image, k), torch.rot90(image, k, (-2, -1)))
    expected = np.rot90(image[0].numpy(), k)
    np.testing.assert_array_equal(quarter_turn(image[0], k).numpy(), expected)


def test_quarter_turn_rejects_other_counts():
    with pytest.raises(ValueError, match='k=4 is not 0, 1, 2 or 3'):
        quarter_turn(torch.zeros(2, 2), 4)


def test_rotated_copies_are_image_major():
    images = torch.stack([torch.tensor([UPRIGHT]), 10 * torch.tensor([UPRIGHT])])  # (2, 1, 3, 3)
    copies = rotated_copies(images)
    expected = [BY_HAND[angle] for angle in QUARTER_TURNS]
    assert copies[:4, 0].tolist() == expected
    assert copies[4:, 0].tolist() == (10 * torch.tensor(expected)).tolist()
    assert rotation_labels(2, 4).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize('angles', [(0, 180), (90, 270), (270, 0, 90)])
def test_rotation_label_is_the_position_in_the_set(angles):
    copies = rotated_copies(torch.tensor([[UPRIGHT]]), angles)
    assert copies[:, 0].tolist() == [BY_HAND[angle] for angle in angles]


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_rotated_copies_keep_memory_format_dtype_and_source(dtype):
    images = random_images(dtype=dtype)
    before = images.clone()
    last = rotated_copies(images.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    plain = rotated_copies(images)
    assert plain.is_contiguous()
    assert plain.dtype == dtype
    assert torch.equal(last, plain)
    assert torch.equal(images, before)


@pytest.mark.parametrize('angles', [QUARTER_TURNS, (90, 270), EIGHTH_TURNS, (0, 45)])
def test_rotated_copies_reject_non_square_images(angles):
    with pytest.raises(ValueError, match=r'\(1, 3, 4, 6\) are not square'):
        rotated_copies(torch.zeros(1, 3, 4, 6), angles)


def test_rotated_copies_accept_non_square_images_for_half_turns():
    images = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert rotated_copies(images, (0, 180))[1, 0].tolist() == [[5, 4, 3], [2, 1, 0]]


def test_rotated_copies_reject_a_single_image():
    with pytest.raises(ValueError, match=r'shape \(3, 4, 4\) are not \(N, C, H, W\)'):
        rotated_copies(torch.zeros(3, 4, 4))


@pytest.mark.parametrize(
    ('angles', 'message'),
    [
        ((0, 90, 90), 'angle 90 is repeated in'),
        ((0, 30), 'angle 30 '),
        ((0, 360), 'angle 360 '),
        ((-90, 0), 'angle -90 '),
        ((0,), r'angles=\(0,\) is not a sequence of two'),
        ((), r'angles=\(\) is not a sequence'),
        ('0,90', "angles='0,90' is not a sequence"),
        (90, 'angles=90 is not a sequence'),
        ((0, 90.5), 'angle 90.5 '),
        ((False, 90), 'angle False '),
    ],
)
def test_check_angles_rejects_invalid_sets(angles, message):
    with pytest.raises(ValueError, match=message):
        check_angles(angles)


def test_check_angles_accepts_multiples_of_45():
    assert check_angles([0, 90, 180, 270]) == QUARTER_TURNS
    assert check_angles(EIGHTH_TURNS) == EIGHTH_TURNS
    assert not needs_warp(QUARTER_TURNS)
    assert needs_warp((0, 45))


def gradient_energy(images: torch.Tensor) -> torch.Tensor:
    """Sum of squared differences of neighbours, (N, C, H, W) → (N,)."""
    images = images.double()
    vertical = images.diff(dim=2).square().sum((1, 2, 3))
    return vertical + images.diff(dim=3).square().sum((1, 2, 3))


@pytest.mark.parametrize('angles', [QUARTER_TURNS, (0, 180), (90, 270)])
def test_quarter_turns_keep_statistics_that_ignore_positions(angles):
    images = random_images(n=4, dtype=torch.uint8)
    copies = rotated_copies(images, angles).unflatten(0, (4, -1))  # (N, K, C, H, W)
    for image, rotated in zip(images, copies, strict=True):
        expected = torch.stack([channel.bincount(minlength=256) for channel in image.flatten(1)])
        for copy in rotated:
            histogram = torch.stack([c.bincount(minlength=256) for c in copy.flatten(1)])
            assert torch.equal(histogram, expected)
    energies = gradient_energy(copies.flatten(0, 1)).unflatten(0, (4, -1))
    assert torch.equal(energies, gradient_energy(images)[:, None].expand_as(energies))


@pytest.mark.parametrize('size', [8, 33, 224])
def test_eight_angles_have_no_border(size):
    gray = torch.full((1, 3, size, size), 77, dtype=torch.uint8)
    assert torch.equal(rotated_copies(gray, EIGHTH_TURNS), gray.expand(8, -1, -1, -1))
    copies = rotated_copies(gray.float() / 255, EIGHTH_TURNS)
    torch.testing.assert_close(copies, torch.full_like(copies, 77 / 255), rtol=0, atol=1e-6)


def test_eight_angles_stay_in_the_range_of_uint8():
    """The cubic kernel overshoots at edges; uint8 must not wrap around."""
    checks = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    checks[:, :, :8] = 255
    copies = rotated_copies(checks, EIGHTH_TURNS)[:, 0].float()
    # away from the edge every copy is still black or white, half of each
    assert torch.all((copies < 16).sum((1, 2)) > 90)
    assert torch.all((copies > 239).sum((1, 2)) > 90)


def test_diagonals_rotate_counter_clockwise():
    """A bright spot above the centre moves counter-clockwise, by 45° per label."""
    size, radius = 65, 12.0
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
    centre = (size - 1) / 2
    spot = torch.exp(-((x - centre) ** 2 + (y - centre + radius) ** 2) / 8.0)
    copies = rotated_copies(spot[None, None], EIGHTH_TURNS)[:, 0]  # (8, H, W)
    for angle, copy in zip(EIGHTH_TURNS, copies, strict=True):
        peak = int(copy.argmax())
        up, right = centre - peak // size, peak % size - centre
        seen = math.degrees(math.atan2(up, right)) - 90  # from straight up
        assert (seen - angle + 180) % 360 - 180 == pytest.approx(0, abs=3)
        # all copies show the central square, enlarged by the same √2
        assert math.hypot(up, right) == pytest.approx(radius * math.sqrt(2), abs=1)


@pytest.mark.parametrize('size', [16, 21])
def test_central_square_agrees_with_opencv(size):
    image = random_images(n=1, size=size)[0, 0]
    centre = (size - 1) / 2
    rotation = np.array([[0.5, -0.5], [0.5, 0.5]])  # output (x, y) to input; 45°, divided by √2
    offset = centre - rotation @ [centre, centre]
    expected = cv2.warpAffine(
        image.numpy(),
        np.hstack([rotation, offset[:, None]]),
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    got = central_square(image[None, None], 45)[0, 0]
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_diagonal_copies_are_almost_as_sharp_as_the_others():
    """Bound how much the sharpness of the 8-angle set reveals.

    Quarter turns of one warp have exactly its sharpness, so two values exist.
    White noise is the worst case: the diagonal copies have 7 % less gradient
    energy. On photos it is 1 % either way.
    """
    photos = np.stack(
        [
            cv2.resize(photo[:, 106:533][:427], (128, 128), interpolation=cv2.INTER_AREA)
            for photo in load_sample_images().images
        ]
    )  # (2, 128, 128, 3)
    photos = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
    for images, bound in ((random_images(n=16, size=64), 0.1), (photos, 0.02)):
        copies = rotated_copies(images, EIGHTH_TURNS)
        energy = gradient_energy(copies).unflatten(0, (-1, 8)).sum(0)  # (8,)
        upright, diagonal = energy[0::2], energy[1::2]
        torch.testing.assert_close(upright, upright[:1].expand(4), rtol=1e-12, atol=0)
        torch.testing.assert_close(diagonal, diagonal[:1].expand(4), rtol=1e-12, atol=0)
        assert abs(diagonal[0] / upright[0] - 1) < bound


def test_literal_reading_crops_the_diagonal_copies_only():
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    cropped = rotated_copies(images, EIGHTH_TURNS)
    literal = rotated_copies(images, EIGHTH_TURNS, crop_upright=False)
    for label, angle in enumerate(EIGHTH_TURNS):
        if angle % 90:
            assert torch.equal(literal[label::8], cropped[label::8])
        else:
            assert torch.equal(literal[label::8], images.rot90(angle // 90, (2, 3)))
            assert not torch.equal(literal[label::8], cropped[label::8])
    assert torch.equal(
        rotated_copies(images, crop_upright=False), rotated_copies(images, crop_upright=True)
    )


@pytest.mark.parametrize('angles', [QUARTER_TURNS, (90, 270), (180, 0), EIGHTH_TURNS])
@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize('channels', [1, 3, 5])
def test_large_images_are_rotated_exactly(angles, dtype, channels):
    """Those whose pixels OpenCV rotates, and similar ones that it cannot rotate."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, channels, 64, 64), generator=generator).to(dtype)
    sources = {0: images}
    if angles is EIGHTH_TURNS:
        sources = {start: central_square(images, start) for start in (0, 45)}
    expected = torch.stack(
        [torch.rot90(sources[angle % 90], angle // 90, (2, 3)) for angle in angles], 1
    ).flatten(0, 1)
    for source in (images, images.contiguous(memory_format=torch.channels_last)):
        copies = rotated_copies(source, angles, memory_format=torch.channels_last)
        assert copies.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(copies, expected)


def test_large_images_keep_their_gradients():
    images = torch.rand(2, 3, 64, 64).to(memory_format=torch.channels_last).requires_grad_()
    rotated_copies(images).sum().backward()
    assert torch.equal(images.grad, torch.full_like(images, 4))


def test_statistics_in_double_precision():
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(v, dtype=torch.double).view(3, 1, 1) for v in ((1, 2, 3), (4, 5, 6)))
    found = normalised_copies(images, mean, std, memory_format=torch.channels_last)
    expected = rotated_copies((images - mean) / std)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
