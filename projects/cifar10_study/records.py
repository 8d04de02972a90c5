import fcntl
from collections.abc import Sequence
from pathlib import Path

from mmrot.results import Record, read_records, write_records

from .plan import Settings

# Name of a data folder → what it contains.
_IMAGES = {'cifar10': 'CIFAR-10 images', 'cifar10_jpeg': 'CIFAR-10 images (JPEG, quality 75)'}


def study_records(path: str | Path) -> list[Record]:
    """Read the records of all studies from a ``.jsonl`` file, which may be missing."""
    return read_records(path) if Path(path).exists() else []


def settings_of(record: Record) -> Settings:
    """Return the settings of the study that a record belongs to."""
    return Settings(**(record.settings or {}))


def describe_images(record: Record) -> str:
    """Describe the training images of a record."""
    data = settings_of(record).data
    return f'{record.training_images:,} {_IMAGES.get(data, f"images of {data}")}'


def cells_of(record: Record) -> set[tuple]:
    """Return study, seed, table, row and column of each value of a record."""
    study = settings_of(record).name
    return {(study, record.seed, record.table, record.row, column) for column in record.values}


def add_records(records: Sequence[Record], path: str | Path) -> None:
    """Add records to a file that several processes may share, unless it has their cells."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix('.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = study_records(path)
        known = {cell for record in found for cell in cells_of(record)}
        new = [record for record in records if not cells_of(record) <= known]
        write_records([*found, *new], path)
