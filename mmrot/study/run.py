import hashlib
import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from pprint import pformat
from typing import Any

import torch
from mmengine.config import Config

from mmrot.config import config_path
from mmrot.evaluation.result_table import read_results
from mmrot.models import NIN

from .plan import PRETRAININGS, RANDOM, ROTATION, SNAPSHOTS, Evaluation, Settings
from .records import record_path, write_record

_PACK = dict(type='mmpretrain.PackInputs')


class Study:
    """Run pretrainings and evaluations, and keep a record of each cell.

    Every run is one call of ``tools/train.py`` in a work directory of its own,
    which goes on where it stopped. What has a record is not run again.

    Args:
        settings (Settings): How large it is, and on which data.
        work_dir (str | Path): Of all runs.
        records (str | Path): Folder of all records.
        train (str | Path): ``tools/train.py``.
        say (Callable): Where one line for each run goes.

    Raises:
        ValueError: If the data is not there.
    """

    def __init__(
        self,
        settings: Settings,
        work_dir: str | Path,
        records: str | Path,
        train: str | Path,
        say: Callable[[str], Any] = print,
    ) -> None:
        self.settings = settings
        self.work_dir = Path(work_dir, settings.name)
        self.records = records
        self.train = Path(train)
        self.say = say
        self.from_folder = Path(settings.data, 'train').is_dir()
        if not self.from_folder and not Path(settings.data, 'cifar-10-batches-py').is_dir():
            raise ValueError(
                f'--data {settings.data}: expected cifar-10-batches-py/ in it, or '
                'train/<class>/ and test/<class>/'
            )

    def run(self, evaluations: Sequence[Evaluation], seeds: Sequence[int]) -> None:
        """Run what has no record yet, seed by seed, with the pretrainings it needs.

        Args:
            evaluations (Sequence[Evaluation]): In this order.
            seeds (Sequence[int]): Of pretrainings and evaluations alike.
        """
        jobs = [(seed, evaluation) for seed in seeds for evaluation in evaluations]
        for number, (seed, evaluation) in enumerate(jobs, 1):
            what = f'[{number}/{len(jobs)}] {evaluation.name}, seed {seed}'
            if missing := self._missing(evaluation):
                self.say(f'{what}: left out, {missing}')
            elif self.finished(evaluation, seed):
                self.say(f'{what}: has its records')
            else:
                self.say(f'{what}: begins')
                start = time.time()
                self._evaluate(evaluation, seed)
                self.say(f'{what}: done in {time.time() - start:.0f} s')

    def finished(self, evaluation: Evaluation, seed: int) -> bool:
        """Say whether every cell of an evaluation has a record."""
        return all(
            record_path(
                self.records,
                dict(
                    table=table,
                    row=row,
                    column=column,
                    seed=seed,
                    settings=dict(name=self.settings.name),
                ),
            ).exists()
            for table, row, column in evaluation.cells
        )

    def _missing(self, evaluation: Evaluation) -> str:
        """Say what the settings have not, of what an evaluation needs."""
        if evaluation.snapshot is not None and self.settings.epochs(100) < len(SNAPSHOTS):
            return 'the budget has no such snapshot'
        count = self.settings.images_per_class
        if count and (evaluation.num_per_class or 0) > count:
            return f'there are {count} images of each class'
        return ''

    def _snapshot(self, evaluation: Evaluation) -> int:
        return self.settings.epochs(evaluation.snapshot or 100)

    def _pretrained(self, name: str, seed: int) -> Path:
        """Pretrain, or go on, or find what is there; give the work directory."""
        config, changes = PRETRAININGS[name]
        work_dir = self.work_dir / f'{name}_seed{seed}'
        if (work_dir / f'epoch_{self.settings.epochs(100)}.pth').exists():
            return work_dir
        self.say(f'    pretrains {name}, seed {seed}')
        cfg = self._config(config, seed, pretraining=True)
        for key, value in changes.items():
            cfg.setdefault(key, {}).update(value)
        self._call(config, cfg, work_dir)
        return work_dir

    def _evaluate(self, evaluation: Evaluation, seed: int) -> None:
        backbone = RANDOM
        origin: dict[str, Any] = dict(checkpoint=RANDOM, pretraining_epochs=None)
        if evaluation.pretraining != RANDOM:
            epochs = self._snapshot(evaluation)
            folder = self._pretrained(evaluation.pretraining, seed)
            # nothing of a record is a path of the machine
            origin = dict(
                checkpoint=f'{folder.name}/epoch_{epochs}.pth', pretraining_epochs=epochs
            )
            backbone = str(folder / f'epoch_{epochs}.pth')
        work_dir = self.work_dir / f'{evaluation.name}_seed{seed}'
        cfg = self._config(evaluation.config, seed, evaluation=evaluation)
        cfg['custom_hooks'] = [
            dict(type='mmrot.LoadBackboneHook', checkpoint=None),
            dict(type='mmrot.ResultTableHook', tables=list(evaluation.tables)),
        ]
        path = self._call(evaluation.config, cfg, work_dir, '--backbone', backbone)
        results = read_results(work_dir)
        for column in [column for _, row, column in evaluation.cells if row == ROTATION]:
            accuracy = self._rotation(folder, epochs)
            result = dict(results[0], table='figure5a', row=ROTATION, epochs=epochs)
            result['values'] = {column: accuracy}
            config = PRETRAININGS[evaluation.pretraining][0]
            self._record(result, config, self._config_path(folder), seed, origin)
        for result in results:
            self._record(result, evaluation.config, path, seed, origin)

    @staticmethod
    def _rotation(folder: Path, epoch: int) -> float:
        """Find the rotation accuracy of a snapshot in the logs of its pretraining."""
        for path in sorted(folder.glob('*/vis_data/scalars.json')):
            for line in path.read_text(encoding='utf-8').splitlines():
                row = json.loads(line)
                if row.get('step') == epoch and 'rotation/accuracy' in row:
                    return row['rotation/accuracy']
        raise ValueError(f'{folder}: no rotation accuracy of epoch {epoch} in its logs')

    def _record(
        self, result: dict[str, Any], config: str, path: Path, seed: int, origin: dict[str, Any]
    ) -> None:
        """Write one record for each value of a result."""
        text = Config.fromfile(path).pretty_text  # without what differs on another machine
        text = text.replace(str(Path(self.settings.data).resolve()), 'DATA')
        data = Path(self.settings.data).resolve().name
        for column, value in result.pop('values').items():
            record = dict(
                result,
                column=column,
                value=value,
                settings=dict(asdict(self.settings), name=self.settings.name, data=data),
                config=config,
                config_sha256=hashlib.sha256(text.encode()).hexdigest(),
                command=self._command(f'{result["table"]}/{result["row"]}', seed),
                **origin,
            )
            write_record(self.records, record)

    def _command(self, cell: str, seed: int) -> str:
        """Say how to measure a cell again."""
        settings = self.settings
        parts = ['tools/reproduce_cifar10.sh', '--data', Path(settings.data).resolve().name]
        for name in ('budget', 'width', 'images_per_class'):
            if name in settings.reduced:
                parts += [f'--{name.replace("_", "-")}', f'{settings.reduced[name]:g}']
        return shlex.join([*parts, '--seeds', str(seed), '--cells', cell])

    def _config(
        self,
        config: str,
        seed: int,
        pretraining: bool = False,
        evaluation: Evaluation | None = None,
    ) -> dict[str, Any]:
        """Say how a run differs from its config."""
        base = Config.fromfile(config_path(config))
        epochs = self.settings.epochs(base.train_cfg.max_epochs)
        scale = epochs / base.train_cfg.max_epochs
        milestones = [max(1, round(m * scale)) for m in base.param_scheduler.milestones]
        # the test images are looked at once, snapshots of figure 5a apart
        interval = epochs
        if pretraining:
            interval = math.gcd(*(self.settings.epochs(epoch) for epoch in SNAPSHOTS))
        changes: dict[str, Any] = dict(
            randomness=dict(seed=seed),
            train_cfg=dict(max_epochs=epochs, val_interval=interval),
            param_scheduler=dict(milestones=milestones),
            default_hooks=dict(
                checkpoint=dict(
                    interval=interval if pretraining else max(1, epochs // 5),
                    max_keep_ckpts=-1 if pretraining else 1,
                    save_best=None,
                )
            ),
            model=self._width(base.model, pretraining),
            val_evaluator=dict(per_class=True) if not pretraining else {},
            optim_wrapper=dict(type='mmrot.BFloat16OptimWrapper'),
            compile=pretraining and torch.cuda.is_available(),  # short runs would not gain
            train_dataloader=self._loader('train', pretraining, evaluation),
            val_dataloader=self._loader('test', pretraining, None),
        )
        changes['test_dataloader'] = changes['val_dataloader']
        return changes

    def _width(self, model: Config, pretraining: bool) -> dict[str, Any]:
        """Narrow the network, and tell the layers behind it."""
        width = self.settings.width
        if width == 192:
            return {}
        changes: dict[str, Any] = dict(backbone=dict(width=width))
        if pretraining:
            changes['head'] = dict(in_channels=width)
            return changes
        backbone = model.backbone
        network = NIN(backbone.num_blocks, width, out_indices=backbone.out_indices).eval()
        maps = network(torch.zeros(1, 3, 32, 32))
        probes = {}
        for (name, probe), features in zip(model.head.probes.items(), maps, strict=True):
            if 'in_features' in probe:
                probes[name] = dict(in_features=features.numel())
            else:
                probes[name] = dict(in_channels=features.shape[1], width=width)
        changes['head'] = dict(probes=probes)
        return changes

    def _loader(
        self, split: str, pretraining: bool, evaluation: Evaluation | None
    ) -> dict[str, Any]:
        """Hold the images in memory, whole batches augmented on the device."""
        steps: list[dict] = [_PACK]
        dataset: dict[str, Any]
        if self.from_folder:
            steps = [dict(type='mmpretrain.LoadImageFromFile'), _PACK]
            dataset = dict(
                type='mmpretrain.CustomDataset',
                data_root=str(Path(self.settings.data).resolve()),
                data_prefix=split,
                pipeline=steps,
            )
        else:
            dataset = dict(
                type='mmpretrain.CIFAR10',
                data_root=str(Path(self.settings.data).resolve()),
                split=split,
                pipeline=steps,
            )
        training = split == 'train'
        count = self.settings.images_per_class
        if training and evaluation is not None and evaluation.num_per_class:
            dataset = dict(
                type='mmrot.PerClassSubset',
                num_per_class=evaluation.num_per_class,
                epoch_length=10 * (count or 5000),  # as long as one of all images
                dataset=dataset,
            )
        elif training and count:
            dataset = dict(type='mmrot.PerClassSubset', num_per_class=count, dataset=dataset)
        augmented = dict(padding=4, flip=True) if training else {}
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
                with_samples=not (pretraining and training),
                **augmented,
            ),
        )

    def _config_path(self, work_dir: Path) -> Path:
        # aside: mmengine dumps the whole config in the work directory
        return self.work_dir / 'configs' / f'{work_dir.name}.py'

    def _call(self, config: str, changes: dict[str, Any], work_dir: Path, *args: str) -> Path:
        """Write the config of a run and train, or go on where it stopped."""
        work_dir.mkdir(parents=True, exist_ok=True)
        path = self._config_path(work_dir)
        path.parent.mkdir(exist_ok=True)
        lines = [f'_base_ = {config_path(config)!r}']
        if self.from_folder:  # files are read as BGR
            changes = dict(changes, data_preprocessor=dict(to_rgb=True))
        lines += [f'{k} = {pformat(v, sort_dicts=False)}' for k, v in changes.items() if v != {}]
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        command = [sys.executable, str(self.train), str(path), '--work-dir', str(work_dir)]
        log = work_dir / 'output.log'
        with log.open('ab') as output:
            done = subprocess.run(
                [*command, '--resume', *args], stdout=output, stderr=subprocess.STDOUT
            )
        if done.returncode:
            last = log.read_text(errors='replace').strip().splitlines()[-1:]
            raise ValueError(f'{work_dir.name} stopped, see {log}: {" ".join(last)}')
        return path
