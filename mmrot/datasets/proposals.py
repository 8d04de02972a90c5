"""Object proposals by selective search, in ``.npz`` files without pickled objects."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile, is_zipfile

import cv2
import numpy as np
from rich.progress import Progress

from mmrot.archive import check_archive
from mmrot.errors import UserError

_INSTALL = (
    'pip install --no-deps --target .opencv-contrib opencv-contrib-python-headless==4.12.0.88, '
    'then PYTHONPATH=.opencv-contrib'
)
_MAX_SIDE = 500  # pixels
_MIN_SIDE = 20  # pixels of a box at that size

# Image name to bboxes (N, 4) and scores (N,).
Proposals: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]


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
    """Compute proposals for images in parallel and write them to a file.

    Boxes are kept in ``<out>.parts/`` until all images are done, so that an
    interrupted run resumes.

    Args:
        paths: Paths of the images.
        out: New file ``NAME.npz``, with images named ``FOLDER/NAME.jpg``; see
            :func:`read_proposals`. Scores decrease with the rank.
        workers: Number of processes.
        max_boxes: Maximum number of boxes per image.

    Raises:
        UserError: If the file exists or does not end in .npz, there are no images
            or two have the same name, or an image cannot be read.
        ImportError: If OpenCV has no contrib modules.
    """
    check_opencv()
    images, out = [Path(path) for path in paths], Path(out)
    if out.suffix != '.npz' or out.exists():
        raise UserError(f'{out} already exists or does not end in .npz.')
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
    save_proposals(proposals, out)
    for file in files:
        file.unlink()
    parts.rmdir()


def save_proposals(proposals: Proposals, out: str | Path) -> None:
    """Write proposals to an ``.npz`` file.

    Args:
        proposals: Image name to ``bboxes`` (N, 4), x1, y1, x2, y2 in pixels, and ``scores`` (N,).
        out: ``NAME.npz``, with the arrays ``names``, ``counts``, ``bboxes`` and ``scores``: the
            boxes of all images follow one another.
    """
    out = Path(out)
    bboxes = [np.asarray(item['bboxes'], np.float32).reshape(-1, 4) for item in proposals.values()]
    scores = [np.asarray(item['scores'], np.float32) for item in proposals.values()]
    temporary = out.with_name(f'.{out.name}')  # numpy.savez wants the suffix
    np.savez(
        temporary,
        names=np.array(list(proposals), str),
        counts=np.array([len(boxes) for boxes in bboxes]),
        bboxes=np.concatenate([np.zeros((0, 4), np.float32), *bboxes]),
        scores=np.concatenate([np.zeros(0, np.float32), *scores]),
    )
    temporary.replace(out)


def read_proposals(file: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Read a file of :func:`save_proposals` without unpickling.

    Args:
        file: ``NAME.npz``.

    Returns:
        Image name to ``bboxes`` (N, 4) and ``scores`` (N,).

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the file has another format, such as mmdet's pickled proposals, or is
            damaged.
    """
    with open(file, 'rb') as stream:
        zipped = is_zipfile(stream)
    if not zipped:
        raise UserError(
            f'proposals {file} are not an .npz file. Pickled proposals can run code, so they are '
            'not read: compute new ones with `mmrot proposals`, or convert a file that you trust '
            'with mmrot.datasets.proposals.save_proposals(mmengine.load(FILE), NEW).'
        )
    try:
        check_archive(file)
        with np.load(file, allow_pickle=False) as arrays:
            names, counts, boxes, scores = (
                arrays[key] for key in ('names', 'counts', 'bboxes', 'scores')
            )
        if boxes.shape != (counts.sum(), 4) or scores.shape != boxes.shape[:1]:
            raise UserError(f'{counts.sum()} boxes expected, got {boxes.shape}, {scores.shape}')
        ends = np.cumsum(counts)[:-1]
        return {
            str(name): dict(bboxes=part, scores=score)
            for name, part, score in zip(
                names, np.split(boxes, ends), np.split(scores, ends), strict=True
            )
        }
    except (KeyError, MemoryError, TypeError, ValueError, BadZipFile) as error:
        raise UserError(f'proposals {file} are damaged: {error}') from error
