import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mmrot.errors import UserError
from mmrot.files import write_atomically

_REQUIRED = ('table', 'row', 'values', 'data', 'images')
# The fields that runs share when they differ only in their seed.
_EXPERIMENT = (
    *('config', 'config_sha256', 'pretraining_sha256', 'data_sha256', 'checkpoint'),
    *('epochs', 'iterations', 'samples_per_epoch', 'batch_size'),
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Results of one run for one published table."""

    table: str  # name of the published table, such as 'table5'
    row: str
    values: dict[str, float]  # column → number, in the unit of the table
    data: str  # name of the test data
    images: int  # number of test images
    chance: float | None = None  # accuracy of guessing, in percent
    majority: float | None = None  # accuracy of always answering the most frequent class
    seed: int | None = None
    sample: int | None = None  # index of the draw of the training images
    config: str | None = None
    config_sha256: str | None = None  # without seeds and paths
    checkpoint: str | None = None  # pretrained backbone, 'random' or 'random-rescaled'
    checkpoint_sha256: str | None = None
    pretraining_epochs: int | None = None
    pretraining_seconds: int | None = None
    pretraining_sha256: str | None = None  # of the config of pretraining
    training_images: int | None = None
    data_sha256: str | None = None  # of the names and sizes of all image files
    epochs: int | None = None
    iterations: int | None = None
    samples_per_epoch: int | None = None
    batch_size: int | None = None  # on all devices together
    seconds: int | None = None  # duration of training, since the last start or in total
    costs: dict[str, float] | None = None  # column → cost of its SVMs
    settings: dict[str, Any] | None = None  # of the study that the run belongs to
    processes: int | None = None
    device: str | None = None  # name of the GPU, or 'cpu'
    machine: str | None = None
    versions: dict[str, str] | None = None
    date: str | None = None  # UTC, ISO format
    command: str | None = None

    @property
    def experiment(self) -> dict[str, Any]:
        """Fields that runs must share to be averaged over seeds."""
        return {name: getattr(self, name) for name in _EXPERIMENT}


def read_records(path: str | Path) -> list[Record]:
    """Read the records of one or several runs.

    Fields that are not in :class:`Record` are ignored.

    Args:
        path: Work directory of a run, a ``results.json``, or a ``.jsonl`` file
            with one record per line.

    Returns:
        The records in the order of the file.

    Raises:
        FileNotFoundError: If the file does not exist.
        UserError: If the file has no valid records.
    """
    path = Path(path)
    if path.is_dir():
        path = path / 'results.json'
    try:
        text = path.read_text(encoding='utf-8')
        lines = text.splitlines() if path.suffix == '.jsonl' else None
        content = json.loads(text) if lines is None else [json.loads(line) for line in lines]
    except FileNotFoundError:
        raise FileNotFoundError(f'{path} does not exist: the run has not finished') from None
    except ValueError as error:
        raise UserError(f'{path} is not a valid records file: {error}') from None
    if not isinstance(content, list) or not content or not all(map(_is_record, content)):
        raise UserError(f'{path}: expected records with {", ".join(_REQUIRED)}')
    return [_from_json(record) for record in content]


def _is_record(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and set(_REQUIRED) <= content.keys()
        and isinstance(content['values'], dict)
        and all(isinstance(value, int | float) for value in content['values'].values())
    )


def _from_json(content: Mapping[str, Any]) -> Record:
    known = {field.name for field in fields(Record)}
    # mmrot 0.1.0 wrote seconds_since_start
    content = {'seconds': content.get('seconds_since_start'), **content}
    return Record(**{key: value for key, value in content.items() if key in known})


def write_records(records: Sequence[Record], path: str | Path) -> None:
    """Write records to a file, values rounded to 4 decimals.

    Args:
        records: Records of any number of runs.
        path: A ``.jsonl`` file gets one record per line, any other file a JSON
            list.
    """
    path = Path(path)
    contents = [_to_json(record) for record in records]
    if path.suffix == '.jsonl':
        text = ''.join(json.dumps(content, ensure_ascii=False) + '\n' for content in contents)
    else:
        text = json.dumps(contents, indent=2, ensure_ascii=False) + '\n'
    write_atomically(path, text)


def _to_json(record: Record) -> dict[str, Any]:
    content = {key: value for key, value in asdict(record).items() if value is not None}
    content['values'] = {column: round(value, 4) for column, value in record.values.items()}
    return content
