"""Find the image files that cannot be decoded, or not completely."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
from rich.progress import track

from mmrot.errors import UserError

from .image_folder import EXTENSIONS
from .image_header import header_problem


def find_images(folder: str | Path) -> list[Path]:
    """List the image files in a folder and its subfolders by their endings, sorted.

    Raises:
        UserError: If there are none.
    """
    files = sorted(path for path in Path(folder).rglob('*') if path.is_file())
    images = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if not images:
        raise UserError(f'{folder} has no images. They end in {", ".join(sorted(EXTENSIONS))}.')
    return images


def check_image(path: str | Path) -> str:
    """Check that an image decodes without errors and warnings.

    The size is read from the header first, so that a file of a few bytes cannot take gigabytes.
    OpenCV decodes a damaged JPEG silently, except for what libjpeg writes to the standard error
    stream, which is redirected meanwhile.

    Args:
        path: File.

    Returns:
        What is wrong, or an empty string.
    """
    if not os.path.getsize(path):
        return 'empty file'
    if problem := header_problem(path):
        return problem
    with tempfile.TemporaryFile() as log:
        before = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            decoded = cv2.imread(str(path))
        except cv2.error as error:
            return f'cannot be decoded: {" ".join(str(error).split())}'
        finally:
            os.dup2(before, 2)
            os.close(before)
        log.seek(0)
        messages = ' '.join(log.read().decode(errors='replace').split())
    if decoded is None:
        return f'cannot be decoded: {messages}' if messages else 'cannot be decoded'
    return f'damaged: {messages}' if messages else ''


def check_images(paths: Sequence[Path], workers: int = 1) -> Iterator[tuple[Path, str]]:
    """Check images in parallel, with a progress bar.

    Args:
        paths: Files.
        workers: Number of processes.

    Yields:
        Each bad file and what is wrong with it, in the order of the files.
    """
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(check_image, paths, chunksize=16)
        for path, problem in zip(paths, track(found, 'Checking images', len(paths)), strict=True):
            if problem:
                yield path, problem
