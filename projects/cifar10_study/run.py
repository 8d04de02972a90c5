import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmrot.errors import UserError
from mmrot.results import Record, read_records

from .configs import classifier_config, config_sha256, images, pretraining_config
from .data import find_data
from .job import Job, call
from .plan import PRETRAININGS, RANDOM, ROTATION, SNAPSHOTS, Classifier, Settings
from .records import add_records, cells_of, study_records


class Study:
    """Run pretraining and classifiers, and record the results.

    Each run is one call of ``tools/train.py`` in its own work directory and is
    resumed if it was interrupted. Recorded runs are not repeated.

    Args:
        settings: Size and data of the study.
        work_dir: Parent of the work directories.
        records: The ``.jsonl`` file of all records.
        tools: Folder of ``train.py`` and ``test.py``.
        report: Function that is called with progress messages.

    Raises:
        UserError: If there is no data, or not enough.
    """

    def __init__(
        self,
        settings: Settings,
        work_dir: str | Path,
        records: str | Path,
        tools: str | Path,
        report: Callable[[str], Any] = print,
    ) -> None:
        self.records = Path(records)
        self.tools = Path(tools)
        self.report = report
        self.data = find_data(settings.data)
        count = settings.images_per_class
        if count is not None and count > self.data.per_class:
            raise UserError(
                f'--images-per-class {count}: {self.data.path} has only {self.data.per_class}.'
            )
        if 10 * (count or 0) == self.data.images:  # all images are no restriction
            settings = replace(settings, images_per_class=None)
        self.settings = settings
        self.work_dir = Path(work_dir, settings.name).resolve()  # mmengine stores it to resume
        self._failed: dict[tuple[str, int], UserError] = {}

    def run(self, classifiers: Sequence[Classifier], seeds: Sequence[int]) -> None:
        """Run all classifiers without records, and the pretraining runs they need.

        Raises:
            UserError: If some runs failed, after all have been attempted.
        """
        jobs = [(seed, classifier) for seed in seeds for classifier in classifiers]
        failed = []
        for number, (seed, classifier) in enumerate(jobs, 1):
            name = f'{classifier.name}, seed {seed}'
            prefix = f'[{number}/{len(jobs)}] {name}:'
            try:
                if reason := self._impossible(classifier):
                    self.report(f'{prefix} skipped, {reason}')
                elif self.finished(classifier, seed):
                    self.report(f'{prefix} already recorded')
                else:
                    self.report(f'{prefix} started')
                    start = time.monotonic()
                    add_records(self._evaluate(classifier, seed), self.records)
                    self.report(f'{prefix} finished in {time.monotonic() - start:.0f} s')
            except (UserError, OSError) as error:
                self.report(f'{prefix} failed, {error}')
                failed.append(name)
        if failed:
            raise UserError(f'{len(failed)} of {len(jobs)} failed: {"; ".join(failed)}')

    def finished(self, classifier: Classifier, seed: int) -> bool:
        """Return whether every cell of a classifier has been recorded.

        Raises:
            UserError: If a record has another config or other images.
        """
        wanted = {(self.settings.name, seed, *cell) for cell in classifier.cells}
        for record in study_records(self.records):
            if not (found := cells_of(record) & wanted):
                continue
            rotation = ROTATION in classifier.fills[record.table, record.row].values()
            identity = self._identity(classifier, rotation)
            if any(getattr(record, key) != value for key, value in identity.items()):
                raise UserError(
                    f'{self.records}: {record.table}, {record.row}, seed {seed} was measured with '
                    'another config or on other images; remove it to measure it again'
                )
            wanted -= found
        return not wanted

    def _impossible(self, classifier: Classifier) -> str:
        """Return why a classifier cannot be trained with the settings, or ''."""
        if classifier.snapshot < 100 and self.settings.epochs(100) < len(SNAPSHOTS):
            return 'the budget is too small for snapshots'
        count = self.settings.images_per_class or self.data.per_class
        if (classifier.num_per_class or 0) > count:
            return f'there are only {count} images per class'
        return ''

    def _pretrain(self, name: str, seed: int) -> Job:
        """Pretrain unless that has already been done."""
        if (name, seed) in self._failed:  # it would fail again
            raise self._failed[name, seed]
        job = Job(self.work_dir / f'{name}_seed{seed}', **self._pretraining_identity(name))
        if not job.finished:
            self.report(f'    pretraining {name}, seed {seed}')
        cfg = pretraining_config(self.settings, self.data, name, seed)
        try:
            job.run([*self._train(cfg, job.work_dir), '--no-validate'])
        except UserError as error:
            self._failed[name, seed] = error
            raise
        return job

    def _evaluate(self, classifier: Classifier, seed: int) -> list[Record]:
        """Train a classifier and return its records."""
        backbone = RANDOM
        origin: dict[str, Any] = dict(checkpoint=RANDOM)
        if classifier.pretraining != RANDOM:
            pretraining = self._pretrain(classifier.pretraining, seed)
            epochs = self.settings.epochs(classifier.snapshot)
            total = self.settings.epochs(100)
            backbone = str(pretraining.work_dir / f'epoch_{epochs}.pth')
            origin = dict(
                checkpoint=f'{classifier.pretraining}/epoch_{epochs}.pth',
                pretraining_epochs=epochs,
                pretraining_seconds=round(pretraining.seconds * epochs / total),
            )
        identity = self._identity(classifier)
        job = Job(self.work_dir / f'{classifier.name}_seed{seed}', **identity)
        cfg = classifier_config(self.settings, self.data, classifier, seed, backbone)
        job.run(self._train(cfg, job.work_dir))
        common = dict(
            origin,
            checkpoint_sha256=None,
            config=f'benchmarks/classification/{classifier.config}',
            seconds=job.seconds,
            training_images=images(self.settings, self.data),
            settings=dict(asdict(self.settings), data=self.data.name),
            **identity,
        )
        records = [replace(record, **common) for record in read_records(job.work_dir)]
        for (table, row), columns in classifier.fills.items():
            if ROTATION in columns.values():
                accuracy = self._rotation_accuracy(pretraining.work_dir, epochs)
                records.append(
                    replace(
                        records[0],
                        **self._identity(classifier, rotation=True),
                        table=table,
                        row=row,
                        values=dict.fromkeys(columns, accuracy),
                        config=PRETRAININGS[classifier.pretraining][0],
                        epochs=epochs,
                        iterations=None,
                        samples_per_epoch=None,
                        batch_size=None,
                        seconds=origin['pretraining_seconds'],
                    )
                )
        return [replace(record, command=self._command(record)) for record in records]

    def _rotation_accuracy(self, folder: Path, epoch: int) -> float:
        """Test a snapshot of a pretraining run."""
        path = folder / f'rotation_epoch_{epoch}.json'
        if not path.exists():
            done = path.with_suffix('.new.json')
            command = [sys.executable, str(self.tools / 'test.py'), str(self._config_path(folder))]
            command += [str(folder / f'epoch_{epoch}.pth'), '--work-dir', str(folder / 'test')]
            command += ['--out', str(done), '--out-item', 'metrics']
            call([*command, '--cfg-options', 'compile=False'], folder / 'output.log')
            done.replace(path)
        return json.loads(path.read_text(encoding='utf-8'))[ROTATION]

    def _command(self, record: Record) -> str:
        """Return the command line that reproduces a record."""
        data = Path(self.settings.data)
        outside = data.is_absolute() or '..' in data.parts
        parts = ['--data', self.data.name if outside else str(data)]
        for name in ('budget', 'width', 'images_per_class'):
            if name in self.settings.reduced:
                parts += [f'--{name.replace("_", "-")}', str(self.settings.reduced[name])]
        parts += ['--seeds', str(record.seed), '--cells', f'{record.table}/{record.row}']
        return shlex.join(['tools/reproduce_cifar10.sh', *parts])

    def _pretraining_identity(self, name: str) -> dict[str, Any]:
        cfg = pretraining_config(self.settings, self.data, name)
        return dict(config_sha256=config_sha256(cfg, self.data), data_sha256=self.data.sha256)

    def _identity(self, classifier: Classifier, rotation: bool = False) -> dict[str, Any]:
        """Return hashes that identify the config and data behind a record."""
        pretraining = None
        if classifier.pretraining != RANDOM:
            pretraining = self._pretraining_identity(classifier.pretraining)['config_sha256']
        cfg = classifier_config(self.settings, self.data, classifier)
        return dict(
            config_sha256=pretraining if rotation else config_sha256(cfg, self.data),
            pretraining_sha256=pretraining,
            data_sha256=self.data.sha256,
        )

    def _config_path(self, work_dir: Path) -> Path:
        # not in the work directory, where mmengine writes the config too
        return self.work_dir / 'configs' / f'{work_dir.name}.py'

    def _train(self, cfg: Config, work_dir: Path) -> list[str]:
        """Write a config and return the command line that trains with it."""
        path = self._config_path(work_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(path)
        train = str(self.tools / 'train.py')
        return [sys.executable, train, str(path), '--work-dir', str(work_dir), '--resume']
