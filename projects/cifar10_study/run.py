import hashlib
import json
import math
import shlex
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from pprint import pformat
from typing import Any

import torch
from mmengine.config import Config

from mmrot.config import config_path
from mmrot.errors import UserError
from mmrot.models import NIN
from mmrot.results import read_records

from .data import find_data
from .job import Job, call
from .plan import PRETRAININGS, RANDOM, ROTATION, SNAPSHOTS, Evaluation, Settings
from .records import record_path, write_record

_PACK = dict(type='mmpretrain.PackInputs')
# Of a result what the study counts itself, over all starts of a run.
_NOT_RECORDED = ('values', 'checkpoint', 'checkpoint_sha256')
# What a result says of the training of a classifier.
_OF_TRAINING = ('epochs', 'iterations', 'samples_per_epoch', 'batch_size')


class Study:
    """Run pretrainings and evaluations, and keep a record of each cell.

    Every run is one call of ``tools/train.py`` in a work directory of its own,
    which goes on where it stopped. What has a record is not run again.

    Args:
        settings (Settings): How large it is, and on which data.
        work_dir (str | Path): Of all runs.
        records (str | Path): Folder of all records.
        tools (str | Path): Folder of ``train.py`` and ``test.py``.
        say (Callable): Where one line for each run goes.

    Raises:
        UserError: If the data is not there, or not enough of it.
    """

    def __init__(
        self,
        settings: Settings,
        work_dir: str | Path,
        records: str | Path,
        tools: str | Path,
        say: Callable[[str], Any] = print,
    ) -> None:
        self.records = records
        self.tools = Path(tools)
        self.say = say
        self.data = find_data(settings.data)
        count = settings.images_per_class
        if count is not None and count > self.data.per_class:
            raise UserError(
                f'--images-per-class {count}: {self.data.path} has {self.data.per_class}'
            )
        if 10 * (count or 0) == self.data.images:  # that is all of them
            settings = replace(settings, images_per_class=None)
        self.settings = settings
        # mmengine writes down where a run goes on
        self.work_dir = Path(work_dir, settings.name).resolve()
        # of one class, and of all
        self.count = count or self.data.per_class
        self.images = 10 * self.count if settings.images_per_class else self.data.images
        self._failed: dict[tuple[str, int], ValueError] = {}

    def run(self, evaluations: Sequence[Evaluation], seeds: Sequence[int]) -> None:
        """Run what has no record yet, seed by seed, with the pretrainings it needs.

        Args:
            evaluations (Sequence[Evaluation]): In this order.
            seeds (Sequence[int]): Of pretrainings and evaluations alike.

        Raises:
            UserError: When all have had their turn, if some have failed.
        """
        jobs = [(seed, evaluation) for seed in seeds for evaluation in evaluations]
        failed = []
        for number, (seed, evaluation) in enumerate(jobs, 1):
            what = f'{evaluation.name}, seed {seed}'
            count = f'[{number}/{len(jobs)}] '
            try:
                if missing := self._missing(evaluation):
                    self.say(f'{count}{what}: left out, {missing}')
                elif self.finished(evaluation, seed):
                    self.say(f'{count}{what}: has its records')
                else:
                    self.say(f'{count}{what}: begins')
                    start = time.monotonic()
                    self._evaluate(evaluation, seed)
                    self.say(f'{count}{what}: done in {time.monotonic() - start:.0f} s')
            except (ValueError, OSError) as error:
                self.say(f'{count}{what}: failed, {error}')
                failed.append(what)
        if failed:
            raise UserError(f'{len(failed)} of {len(jobs)} failed: {"; ".join(failed)}')

    def finished(self, evaluation: Evaluation, seed: int) -> bool:
        """Say whether every cell of an evaluation has a record.

        Args:
            evaluation (Evaluation): Of the plan.
            seed (int): Of it.

        Returns:
            bool: Whether nothing is to be run.

        Raises:
            UserError: If a record is of another config or of other images.
        """
        settings = dict(name=self.settings.name)
        found = 0
        for table, row, column in evaluation.cells:
            path = record_path(
                self.records,
                dict(table=table, row=row, column=column, seed=seed, settings=settings),
            )
            if not path.exists():
                continue
            found += 1
            record = json.loads(path.read_text(encoding='utf-8'))
            identity = self._identity(evaluation, row)
            if any(record.get(key) != value for key, value in identity.items()):
                raise UserError(
                    f'{path} was measured with another config or on other images: remove it to '
                    'measure it again'
                )
        return found == len(evaluation.cells)

    def _missing(self, evaluation: Evaluation) -> str:
        """Say what the settings have not, of what an evaluation needs."""
        if evaluation.snapshot is not None and self.settings.epochs(100) < len(SNAPSHOTS):
            return 'the budget has no such snapshot'
        if (evaluation.num_per_class or 0) > self.count:
            return f'there are {self.count} images of each class'
        return ''

    def _snapshot(self, evaluation: Evaluation) -> int:
        return self.settings.epochs(evaluation.snapshot or 100)

    def _pretrain(self, name: str, seed: int) -> Job:
        """Pretrain, or go on, or find what is there."""
        if (name, seed) in self._failed:  # it would fail again
            raise self._failed[name, seed]
        config = PRETRAININGS[name][0]
        job = Job(self.work_dir / f'{name}_seed{seed}', **self._identity_of_pretraining(name))
        if not job.finished:
            self.say(f'    pretrains {name}, seed {seed}')
        path = self._write_config(config, self._pretraining_config(name, seed), job.work_dir)
        try:
            job.run(self._command(path, job.work_dir, '--no-validate'))
        except ValueError as error:
            self._failed[name, seed] = error
            raise
        return job

    def _evaluate(self, evaluation: Evaluation, seed: int) -> None:
        """Train the classifiers of an evaluation, and write its records."""
        pretraining = evaluation.pretraining
        backbone = RANDOM
        origin: dict[str, Any] = dict(checkpoint=RANDOM, pretraining_epochs=None)
        rotation = [column for _, row, column in evaluation.cells if row == ROTATION]
        if pretraining != RANDOM:
            pretrained = self._pretrain(pretraining, seed)
            epochs = self._snapshot(evaluation)
            backbone = str(pretrained.work_dir / f'epoch_{epochs}.pth')
            origin = dict(
                # nothing of a record is a path of the machine
                checkpoint=f'{pretrained.work_dir.name}/epoch_{epochs}.pth',
                pretraining_epochs=epochs,
                # of its epochs up to the snapshot
                pretraining_seconds=round(pretrained.seconds * epochs / self.settings.epochs(100)),
            )
        identity = self._identity(evaluation)
        job = Job(self.work_dir / f'{evaluation.name}_seed{seed}', **identity)
        changes = self._evaluation_config(evaluation, seed)
        path = self._write_config(evaluation.config, changes, job.work_dir)
        job.run(self._command(path, job.work_dir, '--backbone', backbone))
        results = [asdict(record) for record in read_records(job.work_dir)]
        for result in results:
            more = dict(identity, **origin, config=evaluation.config, seconds=job.seconds)
            self._record(result, result['values'], seed, more)
        if rotation:
            accuracy = self._rotation_accuracy(pretrained.work_dir, epochs)
            result = {k: v for k, v in results[0].items() if k not in _OF_TRAINING}
            result.update(table='figure5a', row=ROTATION, epochs=epochs)
            more = dict(
                self._identity(evaluation, ROTATION),
                **origin,
                config=PRETRAININGS[pretraining][0],
                seconds=origin['pretraining_seconds'],
            )
            self._record(result, dict.fromkeys(rotation, accuracy), seed, more)

    def _rotation_accuracy(self, folder: Path, epoch: int) -> float:
        """Test a snapshot of a pretraining."""
        path = folder / f'rotation_epoch_{epoch}.json'
        if not path.exists():
            done = path.with_suffix('.new.json')
            command = [sys.executable, str(self.tools / 'test.py'), str(self._config_path(folder))]
            command += [str(folder / f'epoch_{epoch}.pth'), '--work-dir', str(folder / 'test')]
            command += ['--out', str(done), '--out-item', 'metrics']
            call([*command, '--cfg-options', 'compile=False'], folder / 'output.log')
            done.replace(path)
        return json.loads(path.read_text(encoding='utf-8'))['rotation/accuracy']

    def _record(
        self, result: dict[str, Any], values: dict[str, float], seed: int, more: dict[str, Any]
    ) -> None:
        """Write one record for each value."""
        for column, value in values.items():
            record = dict(
                {k: v for k, v in result.items() if k not in _NOT_RECORDED and v is not None},
                column=column,
                value=value,
                training_images=self.images,
                settings=dict(asdict(self.settings), name=self.settings.name, data=self.data.name),
                command=self._how(f'{result["table"]}/{result["row"]}', seed),
                **more,
            )
            write_record(self.records, record)

    def _how(self, cell: str, seed: int) -> str:
        """Say how to measure a cell again."""
        settings = self.settings
        elsewhere = Path(settings.data).is_absolute() or '..' in Path(settings.data).parts
        data = self.data.name if elsewhere else settings.data
        parts = ['tools/reproduce_cifar10.sh', '--data', data]
        for name in ('budget', 'width', 'images_per_class'):
            if name in settings.reduced:
                parts += [f'--{name.replace("_", "-")}', str(settings.reduced[name])]
        return shlex.join([*parts, '--seeds', str(seed), '--cells', cell])

    def _identity(self, evaluation: Evaluation, row: str = '') -> dict[str, str | None]:
        """Say by hashes what a record of an evaluation is a measurement of."""
        pretraining: dict[str, str | None] = dict(config_sha256=None)
        if evaluation.pretraining != RANDOM:
            pretraining = self._identity_of_pretraining(evaluation.pretraining)
        sha256 = pretraining['config_sha256']
        if row != ROTATION:
            sha256 = _sha256(
                evaluation.config, self._evaluation_config(evaluation, 0), self.data.path
            )
        return dict(
            config_sha256=sha256,
            pretraining_sha256=pretraining['config_sha256'],
            data_sha256=self.data.sha256,
        )

    def _identity_of_pretraining(self, name: str) -> dict[str, str | None]:
        changes = self._pretraining_config(name, 0)
        changes.pop('compile')  # a matter of the machine
        return dict(
            config_sha256=_sha256(PRETRAININGS[name][0], changes, self.data.path),
            data_sha256=self.data.sha256,
        )

    def _pretraining_config(self, name: str, seed: int) -> dict[str, Any]:
        """Say how a pretraining differs from its config."""
        config, more = PRETRAININGS[name]
        base = _load(config)
        snapshots = [self.settings.epochs(epoch) for epoch in SNAPSHOTS]
        changes = self._config(base, seed)
        width = self.settings.width
        model = dict(backbone=dict(width=width), head=dict(in_channels=width))
        changes.update(
            model=dict(model if width != 192 else {}, **more.get('model', {})),
            default_hooks=dict(
                # the last one goes on, figure 5a needs some of the others
                checkpoint=dict(
                    interval=math.gcd(5, *snapshots), max_keep_ckpts=-1, save_best=None
                )
            ),
            # a run on a CPU would not gain
            compile=torch.cuda.is_available() and _can_compile(),
            train_dataloader=self._loader('train', self._dataset('train'), with_samples=False),
        )
        return changes

    def _evaluation_config(self, evaluation: Evaluation, seed: int) -> dict[str, Any]:
        """Say how an evaluation differs from its config."""
        base = _load(evaluation.config)
        changes = self._config(base, seed)
        epochs = changes['train_cfg']['max_epochs']
        dataset = self._dataset('train')
        if evaluation.num_per_class:
            dataset = dict(
                type='mmrot.PerClassSubset',
                num_per_class=evaluation.num_per_class,
                seed=seed,
                epoch_length=self.images,  # as long as one of all images
                dataset=dataset,
            )
        changes['train_cfg']['val_interval'] = epochs  # the test images are looked at once
        changes.update(
            model=self._width(base.model),
            default_hooks=dict(
                # two, since the older one is removed before the new one is written
                checkpoint=dict(interval=max(1, epochs // 20), max_keep_ckpts=2, save_best=None)
            ),
            val_evaluator=dict(per_class=True),
            train_dataloader=self._loader('train', dataset),
            custom_hooks=[
                dict(type='mmrot.LoadBackboneHook', checkpoint=None),
                dict(type='mmrot.ResultTableHook', tables=list(evaluation.tables)),
            ],
        )
        return changes

    def _config(self, base: Config, seed: int) -> dict[str, Any]:
        """Say how any run differs from its config."""
        epochs = self.settings.epochs(base.train_cfg.max_epochs)
        scale = epochs / base.train_cfg.max_epochs
        milestones = [max(1, round(m * scale)) for m in base.param_scheduler.milestones]
        test = self._loader('test', self._dataset('test'))
        changes: dict[str, Any] = dict(
            randomness=dict(seed=seed),
            train_cfg=dict(max_epochs=epochs),
            param_scheduler=dict(milestones=milestones),
            optim_wrapper=dict(type='mmrot.BFloat16OptimWrapper'),
            val_dataloader=test,
            test_dataloader=test,
        )
        if self.data.from_folder:  # files are read as BGR
            changes['data_preprocessor'] = dict(to_rgb=True)
        return changes

    def _width(self, model: Config) -> dict[str, Any]:
        """Narrow the network, and tell the probes behind it."""
        width = self.settings.width
        if width == 192:
            return {}
        backbone = model.backbone
        network = NIN(backbone.num_blocks, width, out_indices=backbone.out_indices).eval()
        maps = network(torch.zeros(1, 3, 32, 32))
        probes = {}
        for (name, probe), features in zip(model.head.probes.items(), maps, strict=True):
            if 'in_features' in probe:
                probes[name] = dict(in_features=features.numel())
            else:
                probes[name] = dict(in_channels=features.shape[1], width=width)
        return dict(backbone=dict(width=width), head=dict(probes=probes))

    def _dataset(self, split: str) -> dict[str, Any]:
        """Give the images of a split, of the training images as many as are asked for."""
        dataset: dict[str, Any] = dict(data_root=str(self.data.path))
        if self.data.from_folder:
            steps = [dict(type='mmpretrain.LoadImageFromFile'), _PACK]
            dataset.update(type='mmpretrain.CustomDataset', data_prefix=split, pipeline=steps)
        else:
            # what is there is what the records are of
            dataset.update(type='mmpretrain.CIFAR10', split=split, download=False)
            dataset['pipeline'] = [_PACK]
        count = self.settings.images_per_class
        if split == 'train' and count:
            return dict(type='mmrot.PerClassSubset', num_per_class=count, dataset=dataset)
        return dataset

    @staticmethod
    def _loader(split: str, dataset: dict[str, Any], with_samples: bool = True) -> dict[str, Any]:
        """Hold the images in memory, whole batches augmented on the device."""
        augmented = dict(padding=4, flip=True) if split == 'train' else {}
        return dict(
            num_workers=0,
            persistent_workers=False,
            pin_memory=False,
            collate_fn=dict(type='mmrot.as_is'),
            dataset=dict(
                _delete_=True,
                type='mmrot.InMemoryImages',
                dataset=dataset,
                crop_size=32,
                with_samples=with_samples,
                **augmented,
            ),
        )

    def _config_path(self, work_dir: Path) -> Path:
        # aside: mmengine dumps the whole config in the work directory
        return self.work_dir / 'configs' / f'{work_dir.name}.py'

    def _write_config(self, config: str, changes: dict[str, Any], work_dir: Path) -> Path:
        """Write the config of a run."""
        path = self._config_path(work_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f'_base_ = {config_path(config)!r}']
        lines += [f'{k} = {pformat(v, sort_dicts=False)}' for k, v in changes.items() if v != {}]
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path

    def _command(self, config: Path, work_dir: Path, *args: str) -> list[str]:
        command = [sys.executable, str(self.tools / 'train.py'), str(config)]
        return [*command, '--work-dir', str(work_dir), '--resume', *args]


def _can_compile() -> bool:
    """Say whether Triton finds what it builds with."""
    header = Path(sysconfig.get_path('include'), 'Python.h')
    return shutil.which('gcc') is not None and header.exists()


@cache
def _load(config: str) -> Config:
    return Config.fromfile(config_path(config))


def _sha256(config: str, changes: dict[str, Any], data: Path) -> str:
    """Hash a config and its changes, without where the images lie."""
    text = json.dumps([_load(config).to_dict(), changes], sort_keys=True)
    text = text.replace(json.dumps(str(data))[1:-1], 'DATA')
    return hashlib.sha256(text.encode()).hexdigest()
