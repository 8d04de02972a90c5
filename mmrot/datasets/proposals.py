"""Object proposals by selective search, in the file that mmdet's Fast R-CNN reads."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import mmengine
import numpy as np
from rich.progress import Progress

from mmrot.errors import UserError

INSTALL = (
    'pip install --no-deps --target .opencv-contrib opencv-contrib-python-headless==4.12.0.88, '
    'then PYTHONPATH=.opencv-contrib'
)
_MAX_SIDE = 500


def check_opencv() -> None:
    """Raise ImportError where OpenCV has no selective search, and say what has."""
    if not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            f'OpenCV {cv2.__version__} has no ximgproc: expected its contrib modules. A second '
            f'OpenCV in one environment writes over the first: {INSTALL}'
        )


def selective_search(image: np.ndarray, most: int = 2000, min_side: int = 20) -> np.ndarray:
    """Propose boxes that may hold an object.

    Selective search (Uijlings et al., 2013) in its fast mode, as Fast R-CNN
    used it; OpenCV's implementation. Larger images than VOC's are searched at
    the size of VOC's, 500 pixels, since the time grows with the square of it.

    Args:
        image (np.ndarray): (H, W, 3), uint8.
        most (int): How many boxes to keep, the best ones first.
        min_side (int): Boxes with a shorter side, in pixels of the image that is
            searched, are left out.

    Returns:
        np.ndarray: (N, 4) float32, x1, y1, x2, y2 in pixels.

    Raises:
        ImportError: If OpenCV has no contrib modules.
    """
    check_opencv()
    cv2.setNumThreads(1)  # the images are what runs in parallel
    cv2.setRNGSeed(0)  # the ranking is randomised
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    scale = max(1.0, max(image.shape[:2]) / _MAX_SIDE)
    size = (round(image.shape[1] / scale), round(image.shape[0] / scale))
    search.setBaseImage(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    search.switchToSelectiveSearchFast()
    boxes = search.process()  # (N, 4), x, y, width, height
    boxes = boxes[(boxes[:, 2:] >= min_side).all(1)][:most].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return boxes * np.float32(scale)


def _search_file(path: Path, part: Path, most: int) -> None:
    image = cv2.imread(str(path))
    if image is None:
        raise UserError(f'{path}: expected an image that OpenCV can read')
    boxes = selective_search(image, most)
    temporary = part.with_suffix('.tmp.npy')
    np.save(temporary, boxes)
    temporary.replace(part)


def write_proposals(
    paths: Sequence[str | Path], out: str | Path, workers: int = 1, most: int = 2000
) -> None:
    """Search a set of images, in parallel, and write mmdet's ``proposal_file``.

    Each image's boxes are kept in ``<out>.parts/`` until all are there, so that
    a run that stopped goes on where it was.

    Args:
        paths (Sequence[str | Path]): The images.
        out (str | Path): The file, ``NAME.pkl``: a dict from ``FOLDER/NAME.jpg``
            to ``bboxes`` (N, 4) and ``scores`` (N,), which fall with the rank.
        workers (int): Processes.
        most (int): Boxes to keep of an image.

    Raises:
        UserError: If the file exists, has another ending, there are no images,
            two have one name, or one cannot be read; names it.
        ImportError: If OpenCV has no contrib modules.
    """
    check_opencv()
    images, out = [Path(path) for path in paths], Path(out)
    if out.suffix != '.pkl' or out.exists():
        raise UserError(f'{out}: expected the name of a new file that ends in .pkl')
    names = [f'{path.parent.name}/{path.name}' for path in images]
    if not names or len(set(names)) < len(names):
        raise UserError(f'{out}: expected images of different names, found {len(names)}')
    parts = out.with_name(f'{out.name}.parts')
    parts.mkdir(parents=True, exist_ok=True)
    files = [parts / f'{path.parent.name}-{path.stem}.npy' for path in images]
    todo = [(path, file) for path, file in zip(images, files, strict=True) if not file.exists()]
    with ProcessPoolExecutor(workers) as pool, Progress() as progress:
        task = progress.add_task('Selective search', total=len(images))
        progress.advance(task, len(images) - len(todo))
        jobs = [pool.submit(_search_file, path, file, most) for path, file in todo]
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


def recall(proposals: np.ndarray, objects: np.ndarray, iou: float = 0.5) -> np.ndarray:
    """Say which objects are covered by a proposal.

    Args:
        proposals (np.ndarray): (N, 4), x1, y1, x2, y2.
        objects (np.ndarray): (M, 4).
        iou (float): Least overlap, intersection over union.

    Returns:
        np.ndarray: (M,) bool.
    """
    low = np.maximum(proposals[:, None, :2], objects[None, :, :2])  # (N, M, 2)
    high = np.minimum(proposals[:, None, 2:], objects[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)  # (N, M)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (proposals, objects)]
    union = areas[0][:, None] + areas[1][None] - both
    return (both >= iou * union).any(0)
