"""The images of a study, and what tells them from others of the same name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mmrot.errors import UserError
from mmrot.results import published_table

# Those of mmpretrain's CustomDataset.
_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
_PYTHON_FORM = 'cifar-10-batches-py'


@dataclass(frozen=True)
class StudyData:
    """CIFAR-10, or images of its classes in folders.

    Attributes:
        path (Path): The folder, absolute.
        from_folder (bool): Whether it has ``{train,test}/<class>/``.
        images (int): For training.
        per_class (int): Of them, in the smallest class.
        sha256 (str): Of the names and sizes of all files.
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
    """Look at a study's images.

    Args:
        folder (str | Path): With ``cifar-10-batches-py/``, or with
            ``{train,test}/<class>/`` of the classes of CIFAR-10.

    Returns:
        StudyData: What was found.

    Raises:
        UserError: If neither is there, or the classes are others.
    """
    path = Path(folder).resolve()
    if (path / _PYTHON_FORM).is_dir():
        return StudyData(path, False, 50000, 5000, _fingerprint([path / _PYTHON_FORM]))
    splits = [path / 'train', path / 'test']
    if not all(split.is_dir() for split in splits):
        raise UserError(
            f'--data {folder}: expected {_PYTHON_FORM}/ in it, or train/<class>/ and test/<class>/'
        )
    expected = set(published_table('table9')['columns'])
    for split in splits:
        classes = {entry.name for entry in split.iterdir() if entry.is_dir()}
        if classes != expected:
            raise UserError(
                f'{split} has the classes {", ".join(sorted(classes))}: expected '
                f'{", ".join(sorted(expected))}'
            )
    counts = [len(_images(splits[0] / name)) for name in expected]
    return StudyData(path, True, sum(counts), min(counts), _fingerprint(splits))


def _images(folder: Path) -> list[Path]:
    """List what mmpretrain's CustomDataset reads."""
    return sorted(path for path in folder.rglob('*') if path.suffix.lower() in _EXTENSIONS)


def _fingerprint(folders: list[Path]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        python = folder.name == _PYTHON_FORM
        for file in sorted(folder.iterdir()) if python else _images(folder):
            digest.update(f'{file.relative_to(folder.parent)} {file.stat().st_size}\n'.encode())
    return digest.hexdigest()
