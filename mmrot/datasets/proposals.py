"""Object proposals by selective search, in the format of mmdet's ``proposal_file``."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import mmengine
import numpy as np
from rich.progress import Progress

from mmrot.errors import UserError

_INSTALL = (
    'pip install --no-deps --target .opencv-contrib opencv-contrib-python-headless==4.12.0.88, '
    'then PYTHONPATH=.opencv-contrib'
)
_MAX_SIDE = 500  # pixels
_MIN_SIDE = 20  # pixels of a box at that size


def check_opencv() -> None:
    """Raise ImportError with installation instructions if OpenCV has no selective search."""
    if not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            f'OpenCV {cv2.__version__} has no ximgproc, which is one of its contrib modules. Two '
            f'OpenCV packages in one environment overwrite each other, so run {_INSTALL}'
        )


def selective_search(image: np.ndarray, max_boxes: int = 2000) -> np.ndarray:
    """Propose boxes that may contain an object.

    OpenCV's implementation of selective search (Uijlings et al., 2013) in its
    fast mode, as used by Fast R-CNN. Images larger than VOC's are searched at
    500 pixels, since the time grows with the square of the side.

    Args:
        image: (H, W, 3), uint8.
        max_boxes: Maximum number of boxes, best first.

    Returns:
        (N, 4) float32, x1, y1, x2, y2 in pixels.

    Raises:
        ImportError: If OpenCV has no contrib modules.
    """
    check_opencv()
    cv2.setNumThreads(1)  # images are searched in parallel
    cv2.setRNGSeed(0)  # the ranking is randomised
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    scale = max(1.0, max(image.shape[:2]) / _MAX_SIDE)
    size = (round(image.shape[1] / scale), round(image.shape[0] / scale))
    search.setBaseImage(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    search.switchToSelectiveSearchFast()
    boxes = search.process()  # (N, 4), x, y, width, height
    boxes = boxes[(boxes[:, 2:] >= _MIN_SIDE).all(1)][:max_boxes].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return boxes * np.float32(scale)


def _search_file(path: Path, part: Path, max_boxes: int) -> None:
    image = cv2.imread(str(path))
    if image is None:
        raise UserError(f'OpenCV cannot read the image {path}.')
    boxes = selective_search(image, max_boxes)
    temporary = part.with_suffix('.tmp.npy')
    np.save(temporary, boxes)
    temporary.replace(part)


def write_proposals(
    paths: Sequence[str | Path], out: str | Path, workers: int = 1, max_boxes: int = 2000
) -> None:
    """Compute proposals for images in parallel and write mmdet's ``proposal_file``.

    Boxes are kept in ``<out>.parts/`` until all images are done, so that an
    interrupted run resumes.

    Args:
        paths: Paths of the images.
        out: New file ``NAME.pkl``: a dict from ``FOLDER/NAME.jpg`` to ``bboxes``
            (N, 4) and ``scores`` (N,), which decrease with the rank.
        workers: Number of processes.
        max_boxes: Maximum number of boxes per image.

    Raises:
        UserError: If the file exists or does not end in .pkl, there are no images
            or two have the same name, or an image cannot be read.
        ImportError: If OpenCV has no contrib modules.
    """
    check_opencv()
    images, out = [Path(path) for path in paths], Path(out)
    if out.suffix != '.pkl' or out.exists():
        raise UserError(f'{out} already exists or does not end in .pkl.')
    names = [f'{path.parent.name}/{path.name}' for path in images]
    if not names or len(set(names)) < len(names):
        raise UserError(
            f'expected images with unique names, got {len(names)} images with '
            f'{len(set(names))} names.'
        )
    parts = out.with_name(f'{out.name}.parts')
    parts.mkdir(parents=True, exist_ok=True)
    files = [parts / f'{path.parent.name}-{path.stem}.npy' for path in images]
    todo = [(path, file) for path, file in zip(images, files, strict=True) if not file.exists()]
    with ProcessPoolExecutor(workers) as pool, Progress() as progress:
        task = progress.add_task('Selective search', total=len(images))
        progress.advance(task, len(images) - len(todo))
        jobs = [pool.submit(_search_file, path, file, max_boxes) for path, file in todo]
        try:
            for job in as_completed(jobs):
                job.result()
                progress.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    proposals = {}
    for name, file in zip(names, files, strict=True):
        boxes = np.load(file)
        scores = np.linspace(1, 0, len(boxes), endpoint=False, dtype=np.float32)
        proposals[name] = dict(bboxes=boxes, scores=scores)
    temporary = out.with_name(f'.{out.name}')
    mmengine.dump(proposals, str(temporary), file_format='pkl')
    temporary.replace(out)
    for file in files:
        file.unlink()
    parts.rmdir()
