"""The images of a study."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mmpretrain.datasets import CustomDataset

from mmrot.errors import UserError
from mmrot.results import published_table

_PYTHON_FORM = 'cifar-10-batches-py'


@dataclass(frozen=True)
class StudyData:
    """CIFAR-10, or images of its classes in folders.

    Args:
        path: Absolute path of the folder.
        from_folder: Whether it contains ``{train,test}/<class>/``.
        images: Number of training images.
        per_class: Number of training images of the smallest class.
        sha256: Hash of the names and sizes of all image files.
    """

    path: Path
    from_folder: bool
    images: int
    per_class: int
    sha256: str

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name


def find_data(folder: str | Path) -> StudyData:
    """Find images in ``cifar-10-batches-py/`` or ``{train,test}/<class>/`` of a folder.

    Raises:
        UserError: If there are none, or their classes are not those of CIFAR-10.
    """
    path = Path(folder).resolve()
    if (path / _PYTHON_FORM).is_dir():
        files = sorted((path / _PYTHON_FORM).iterdir())
        return StudyData(path, False, 50000, 5000, _fingerprint(files, path))
    files = []
    for split in ('test', 'train'):
        if not (path / split).is_dir():
            raise UserError(
                f'--data {folder}: expected {_PYTHON_FORM}/ in it, or train/<class>/ and '
                'test/<class>/'
            )
        dataset = CustomDataset(data_root=str(path), data_prefix=split)
        expected = sorted(published_table('table9')['columns'])
        if sorted(dataset.CLASSES) != expected:
            raise UserError(
                f'{path / split} has the classes {", ".join(sorted(dataset.CLASSES))}: expected '
                f'{", ".join(expected)}'
            )
        images = [dataset.get_data_info(index) for index in range(len(dataset))]
        files = sorted(Path(image['img_path']) for image in images) + files
    counts = Counter(image['gt_label'] for image in images)
    return StudyData(path, True, len(images), min(counts.values()), _fingerprint(files, path))


def _fingerprint(files: list[Path], root: Path) -> str:
    lines = [f'{file.relative_to(root)} {file.stat().st_size}\n' for file in files]
    return hashlib.sha256(''.join(lines).encode()).hexdigest()
