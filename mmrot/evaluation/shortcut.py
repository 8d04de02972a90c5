"""Images that show whether a network reads rotations from traces of JPEG compression.

Decoded JPEG files keep an 8×8 grid and the asymmetry of the quantisation table. Both rotate with
the image, so they reveal the axis of a rotation (0° and 180° against 90° and 270°).

Letters in shapes: N images, H height, W width.
"""

import cv2
import numpy as np

# Luminance table of the JPEG standard (ITU-T T.81, Table K.1), by vertical, horizontal frequency.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def luminance_table(quality: int) -> np.ndarray:
    """Return the luminance quantisation table of libjpeg.

    Args:
        quality: 1 to 100.

    Returns:
        (8, 8) int64, 1 to 255, by vertical and horizontal frequency.
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((_LUMINANCE * scale + 50) // 100).clip(1, 255)


def noise_images(kind: str, count: int, size: int, seed: int = 0) -> np.ndarray:
    """Generate grey noise without content or direction.

    Args:
        kind: ``'white'``, or ``'pink'`` with the amplitude spectrum 1/f of photos.
        count: Number of images N.
        size: Side of the images in pixels.
        seed: Random seed.

    Returns:
        (N, size, size, 3) uint8, mean 128 and standard deviation 50 before clipping.
    """
    noise = np.random.default_rng(seed).standard_normal((count, size, size))
    if kind == 'pink':
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
        frequency[0, 0] = np.inf  # no mean
        noise = np.fft.irfft2(np.fft.rfft2(noise) / frequency, (size, size))
        noise /= noise.std((1, 2), keepdims=True)
    pixels = (128 + 50 * noise).round().clip(0, 255).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=3)


def recompress(images: np.ndarray, quality: int) -> np.ndarray:
    """Save images as JPEG and read them.

    Args:
        images: (N, H, W, 3) uint8, BGR.
        quality: 1 to 100.

    Returns:
        (N, H, W, 3) uint8, BGR.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return np.stack(
        [
            cv2.imdecode(cv2.imencode('.jpg', image, options)[1], cv2.IMREAD_COLOR)
            for image in images
        ]
    )


def grey(images: np.ndarray) -> np.ndarray:
    """Return the luminance of images (N, H, W, 3), BGR, in three equal channels."""
    return np.stack(
        [np.repeat(cv2.cvtColor(i, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2) for i in images]
    )


def add_dct_noise(images: np.ndarray, table: np.ndarray, seed: int = 0) -> np.ndarray:
    """Add uniform noise of ± half a quantisation step to the DCT coefficients of 8×8 blocks.

    Args:
        images: (N, H, W, 3) uint8 with equal channels.
        table: (8, 8), width of the noise by vertical and horizontal frequency.
        seed: Random seed.

    Returns:
        (N, H, W, 3) uint8 with equal channels.
    """
    count, height, width = images.shape[:3]
    rows, columns = -(-height // 8), -(-width // 8)
    rng = np.random.default_rng(seed)
    k = np.arange(8)
    basis = np.cos(np.pi * (2 * k + 1) * k[:, None] / 16) / 2  # (frequency, pixel), orthonormal
    basis[0] /= np.sqrt(2)
    noise = rng.uniform(-0.5, 0.5, (count, rows, columns, 8, 8)) * table
    noise = basis.T @ noise @ basis  # the inverse transform is linear
    noise = noise.transpose(0, 1, 3, 2, 4).reshape(count, 8 * rows, 8 * columns)
    noisy = images[..., 0] + noise[:, :height, :width]
    return np.repeat(noisy.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=3)


def all_orientations(images: np.ndarray) -> np.ndarray:
    """Rotate images (N, H, H, 3) by all four angles.

    Content then says nothing about a rotation that follows: on the images as they are, every
    network is right in exactly a quarter of the cases.

    Returns:
        (4N, H, H, 3).
    """
    return np.concatenate([np.rot90(images, turns, (1, 2)) for turns in range(4)])


def shift(images: np.ndarray, pixels: int) -> np.ndarray:
    """Shift images down and right, filling with their reflection.

    Args:
        images: (N, H, W, 3).
        pixels: Number of pixels.

    Returns:
        (N, H, W, 3).
    """
    padded = np.pad(images, ((0, 0), (pixels, 0), (pixels, 0), (0, 0)), mode='reflect')
    return padded[:, : images.shape[1], : images.shape[2]]


def low_pass(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur images (N, H, W, 3) with a Gaussian of ``sigma`` pixels."""
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])
