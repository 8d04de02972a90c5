import inspect
import os
import pickle
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import get_rank, is_distributed, is_main_process, master_only
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import DATA_SAMPLERS, DATASETS
from mmengine.runner import BaseLoop, CheckpointLoader
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.utils.data import DataLoader

from mmrot.datasets.block_samplers import BlockSampler, InfiniteBlockSampler
from mmrot.datasets.seeded_samples import SeededSampler, SeededSamples, seed_all
from mmrot.errors import UserError
from mmrot.files import replacing
from mmrot.models import RotationPred, TenCropClassifier
from mmrot.registry import resolve_type
from mmrot.weights.checkpoint import check_weights, safe_checkpoint_loading
from mmrot.weights.digest import SHA256, weights_sha256

from .bad_images import BadImages
from .deferred_scalars import DeferredScalars
from .distributed import (
    end_process,
    gather_statistics,
    init_gloo,
    load_statistics,
    unwrap,
    uses_gloo,
)
from .epoch_loop import EpochLoop
from .held_log import HeldLog
from .lock import locked
from .memory import keep_freed_memory
from .preemption import Preemption, protect_worker
from .preflight import check_unused
from .resume import check_finite, check_resumable, find_resumable

# Entries of default_hooks. Up to 0.1, configs listed these hooks in custom_hooks.
_KEYED_HOOKS = ('load_backbone', 'result_table', 'check_classes', 'check_masks')
# The samplers that mmrot.datasets.seeded_samples.SeededSampler extends.
_SAMPLERS = {DefaultSampler, InfiniteSampler, BlockSampler, InfiniteBlockSampler}
# mmengine's checkpoint hook, which mmrot's replaces.
_CHECKPOINT_HOOKS = ('CheckpointHook', 'mmengine.CheckpointHook')
# What mmengine takes from a dataloader's config besides DataLoader's arguments.
_LOADER_FIELDS = {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch', '_scope_'}
# What changes in a scheduler during training.
_SCHEDULER_STATE = {'last_step', 'base_values', 'verbose'}
# Key of a checkpoint: the running statistics of each process, if they differ.
STATISTICS = 'statistics_of_processes'
# When a job notices that it is asked to end, or that images are bad.
_NOTICING = ('after_train_iter', 'after_val_iter', 'after_val_epoch')
_STARTED = ('after_train_iter', 'after_val_iter', 'after_test_iter')


class Runner(MMEngineRunner):
    """mmengine's Runner with distributed jobs on CPU and strict checkpoint loading.

    Runs the configs of mmrot, mmpretrain, mmdet and mmseg. It differs from mmengine's as follows:

    - Without a GPU, a distributed job uses gloo. mmengine calls ``torch.cuda.set_device`` first
      and passes ``device_ids`` for a CPU module.
    - A checkpoint to resume, to test, or to load into an mmrot model must match the model exactly.
      mmengine logs a warning and trains the missing parameters from scratch.
    - An empty dataset is an error that names its folder.
    - A work directory with checkpoints or results of another run is refused unless the config has
      ``overwrite=True``, and so is one in which another job is training.
    - Augmentation depends on (seed, epoch, image) alone, and other random numbers of training on
      (seed, iteration, rank), so that a resumed run equals an uninterrupted one.
    - SIGTERM and SIGUSR1 save a checkpoint after the current iteration, and end the job with
      status 128 + signal.
    - A training image that :class:`mmrot.LoadImage` cannot decode is logged and replaced by
      another one, until more than ``max_bad_share`` of the images in the config, by default
      0.001, and more than 10 are bad. So are images for the validation of rotation prediction.
    - A checkpoint is written under another name and renamed when it is complete; weights that are
      not finite are not saved. ``resume`` without ``load_from`` takes the newest checkpoint of
      the work directory that can be loaded.
    - Losses stay on the GPU until they are logged.
    - The log and the config are written after the first iteration, so that a job that cannot
      start leaves nothing but its error, and one that only tests overwrites no config.
    """

    _testing = False
    _config_dumped = False
    _held_log: HeldLog | None = None
    _preemption: Preemption | None = None
    _bad_images: BadImages  # of training
    _statistics: tuple[int, list[dict]] | None = None  # iteration, one dict for each process
    _validation_missing = False
    _load_from: str | None  # mmengine's
    _train_dataloader: Any
    _val_dataloader: Any

    def __init__(self, *args, work_dir: str, **kwargs) -> None:
        folder = Path(work_dir).absolute()
        self._new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
        with self._starting():
            super().__init__(*args, work_dir=work_dir, **kwargs)

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Remove the log and new folders of a job that fails before its first iteration."""
        try:
            yield
        except BaseException:
            if self._held_log is None:  # fails before its log is opened
                self._remove_new_folders()
            elif self._held_log.holding:
                self._held_log.discard()
                if is_main_process() and self._new_log_dir:
                    shutil.rmtree(self._log_dir, ignore_errors=True)
                    self._remove_new_folders()
            raise

    def _remove_new_folders(self) -> None:
        with suppress(OSError):  # not empty
            for folder in self._new_folders:
                folder.rmdir()

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build a logger that holds back its messages until the first iteration."""
        logger = super().build_logger(*args, **kwargs)
        self._held_log = HeldLog(logger)
        return logger

    def build_message_hub(self, message_hub: dict | None = None) -> MessageHub:
        """Build a message hub that does not wait for the GPU."""
        hub = super().build_message_hub(message_hub)
        DeferredScalars.convert(hub)
        return hub

    def train(self) -> nn.Module:
        """Train the model.

        Raises:
            UserError: If the work directory contains another run, or another job is training
                there.
        """
        with self._starting(), locked(self.work_dir) if is_main_process() else nullcontext():
            if not self._resume and not self.cfg.get('overwrite'):
                check_unused(self.work_dir)
            if self._resume:
                self._find_checkpoint()
            self._preemption = Preemption(self._timeout)
            self._bad_images = BadImages(self.work_dir, self.cfg.get('max_bad_share', 0.001))
            with self._preemption.listening():
                model = super().train()
            self._preemption = None
        if self._held_log is not None:  # a finished run that was resumed has no iterations
            self._held_log.release()
        return model

    def val(self) -> dict:
        """Validate the model."""
        with self._starting():
            return super().val()

    def setup_env(self, env_cfg: dict) -> None:
        """Initialise gloo for a distributed CPU job, then set up as mmengine does."""
        self._timeout = env_cfg.get('dist_cfg', {}).get('timeout')
        if self.distributed and not is_distributed():
            self._check_gpus()
            if not torch.cuda.is_available():
                init_gloo(self.launcher, self._timeout)
        super().setup_env(env_cfg)
        if get_device() == 'cpu':
            keep_freed_memory()
        # jobs that start within one second share it
        self._new_log_dir = not Path(self.work_dir, self.timestamp).exists()

    def set_randomness(self, seed: int | None, *args, **kwargs) -> None:
        """Seed all generators.

        Args:
            seed: Integer from 0 to 2**32 - 1, or None to draw one.
            *args: Further arguments of mmengine's method.
            **kwargs: Further arguments of mmengine's method.

        Raises:
            UserError: If ``seed`` is anything else.
        """
        if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**32):
            raise UserError(f'randomness.seed={seed} is not an integer from 0 to {2**32 - 1}.')
        super().set_randomness(seed, *args, **kwargs)

    def register_hooks(
        self, default_hooks: dict | None = None, custom_hooks: list | None = None
    ) -> None:
        """Register hooks; mmrot's own in ``custom_hooks`` replace the keyed ones."""
        listed = {hook['type'] for hook in custom_hooks or () if isinstance(hook, dict)}
        if not listed.isdisjoint({'mmrot.LoadBackboneHook', 'mmrot.ResultTableHook'}):
            default_hooks = {
                key: hook for key, hook in (default_hooks or {}).items() if key not in _KEYED_HOOKS
            }
        default_hooks = dict(default_hooks or {})
        saving = default_hooks.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
        if isinstance(saving, dict) and saving.get('type') in _CHECKPOINT_HOOKS:
            default_hooks['checkpoint'] = {**saving, 'type': 'mmrot.CheckpointHook'}
        super().register_hooks(default_hooks, custom_hooks)

    @staticmethod
    def _check_gpus() -> None:
        """Raise an error if torchrun started more processes than this machine has GPUs."""
        ranks = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
        if 0 < torch.cuda.device_count() < ranks:
            raise UserError(
                f'{ranks} processes were started on this machine, which has only '
                f'{torch.cuda.device_count()} GPUs.'
            )

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for data parallelism, on CPU without device ids and SyncBN."""
        if not self.distributed or get_device() != 'cpu' or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        print_log(
            'No GPU: the job runs on the CPU with gloo, with batch norm per process',
            logger='current',
        )
        return MMDistributedDataParallel(
            module=revert_sync_batchnorm(model),  # SyncBN has no CPU kernel
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False),
        )

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool = False,
        revise_keys: list = [(r'^module.', '')],
    ) -> dict:
        """Load a checkpoint, strictly when resuming, testing, or for a model of mmrot.

        Raises:
            UserError: If the checkpoint does not match the model, with the keys in the message;
                when resuming, also if it does not contain a training state.
        """
        ours = isinstance(unwrap(self.model), RotationPred | TenCropClassifier)
        strict = strict or ours or self._resume or self._testing
        try:
            try:
                checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
            except pickle.UnpicklingError:  # OpenMMLab's mmengine cannot load its log buffers
                with safe_checkpoint_loading():
                    checkpoint = super().load_checkpoint(
                        filename, map_location, strict, revise_keys
                    )
        except RuntimeError as error:  # of load_state_dict
            raise UserError(f'checkpoint {filename} does not match the model: {error}') from error
        if self._resume:
            check_resumable(checkpoint, filename)
            self._validation_missing = checkpoint['meta'].get('validation_missing', False)
            load_statistics(self.model, checkpoint.get(STATISTICS))
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume training, and warn of settings of the config that the checkpoint overrides."""
        configured = _optimisation(self)
        super().resume(filename, *args, **kwargs)
        kept = _optimisation(self)
        changed = [
            f'{name} stays {kept[name]}, not {value} as in the config'
            for name, value in configured.items()
            if name in kept and kept[name] != value
        ]
        if changed:
            self.logger.warning(
                f'A resumed run keeps its optimizer and schedulers: {"; ".join(changed)}. To '
                f"train with the config's values, start anew from the weights: --load-from "
                f'{filename} and another --work-dir.'
            )

    def _find_checkpoint(self) -> None:
        """Find the checkpoint to resume from, and take over its seed before the data are built."""
        if self._load_from is None:
            newest, refused = find_resumable(self.work_dir, _read_checkpoint)
            for reason in refused:
                self.logger.warning(f'Not resuming from the newest checkpoint: {reason}')
            if newest is None:
                self.logger.warning(
                    f'No checkpoint in {self.work_dir}: training starts from the beginning.'
                )
                self._resume = False
                return
            self._load_from = str(newest)
        if self._randomness_cfg.get('seed') is None:
            meta = _read_checkpoint(self._load_from).get('meta', {})
            self._randomness_cfg.update(seed=meta.get('seed'))
            self.set_randomness(**self._randomness_cfg)

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args, **kwargs) -> None:
        """Save a checkpoint completely or not at all.

        Args:
            out_dir: Folder or address of a storage.
            filename: Name of the checkpoint.
            *args: Further arguments of mmengine's method.
            **kwargs: Further arguments of mmengine's method.

        Raises:
            UserError: If a weight is not finite. Nothing is written.
        """
        check_finite(unwrap(self.model).state_dict(), f'{filename} is not saved')
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with replacing(Path(out_dir, filename)) as temporary:
            super().save_checkpoint(str(temporary.parent), temporary.name, *args, **kwargs)

    def test(self) -> dict:
        """Test a checkpoint, which must match the model."""
        self._testing = True
        with self._starting():
            return super().test()

    def load_for_testing(self) -> None:
        """Load the checkpoint as strictly as :meth:`test` does, without testing it."""
        self._testing = True
        self.load_or_resume()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop, with samples that depend on (seed, epoch, index) alone.

        Batch samplers and samplers other than mmengine's, as in some configs of mmdet, are left as
        they are.
        """
        seeded = _simple_sampler(self._train_dataloader)
        if seeded:
            self._train_dataloader = {
                'worker_init_fn': dict(type=protect_worker),
                **self._seeded(self._train_dataloader),
                'sampler': dict(type=SeededSampler, sampler=self._train_dataloader['sampler']),
            }
        if seeded and isinstance(loop, dict) and loop.get('by_epoch'):
            loop = {key: value for key, value in loop.items() if key != 'by_epoch'}
            loop['type'] = EpochLoop
        return super().build_train_loop(loop)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the validation loop; for rotation prediction, bad images are replaced there too.

        Where there are labels, results are comparable only on all images.
        """
        rotations = isinstance(unwrap(self.model), RotationPred)
        if self._preemption is not None and rotations and _simple_sampler(self._val_dataloader):
            self._val_dataloader = self._seeded(self._val_dataloader)
        return super().build_val_loop(loop)

    def _seeded(self, loader: dict) -> dict:
        """Return the config of a dataloader whose samples are seeded."""
        dataset = dict(type=SeededSamples, dataset=loader['dataset'], seed=self.seed)
        return {**loader, 'dataset': dataset}

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Call the hooks; write the log and the config after the first iteration.

        The weights of a checkpoint are hashed after all hooks may have changed them, and checked
        before any does.
        """
        if fn_name == 'before_train_iter':  # after the batch is loaded
            seed_all(self.seed, self.iter, get_rank())
            if torch.cuda.is_available():
                torch.cuda.manual_seed(torch.initial_seed())
        if fn_name in _STARTED and self._held_log is not None and self._held_log.holding:
            self._held_log.release()
        if fn_name == 'after_load_checkpoint':
            check_weights(kwargs['checkpoint'], self._load_from or 'to load')
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_save_checkpoint':
            checkpoint = kwargs['checkpoint']
            if self._statistics is not None and self._statistics[0] == self.iter:
                checkpoint[STATISTICS] = self._statistics[1]
            checkpoint['meta'][SHA256] = weights_sha256(checkpoint['state_dict'])
        if fn_name == 'after_train_iter' and not self._config_dumped:
            self._config_dumped = True
            super().dump_config()
        if self._preemption is not None:
            if fn_name == 'before_val':
                self.gather_statistics()
            if fn_name == 'before_train' and self._validation_missing and self.val_loop:
                self.val_loop.run()
            if fn_name in _NOTICING:
                self._notice(self._preemption, fn_name)

    def _notice(self, preemption: Preemption, fn_name: str) -> None:
        """Report bad images, and stop if the job is asked to."""
        trained = fn_name == 'after_train_iter'
        if fn_name == 'after_val_iter':  # processes may have different numbers of batches
            status = preemption.status()
        else:
            dataset = (self.train_dataloader if trained else self.val_dataloader).dataset
            bad = dataset.new_bad_images() if isinstance(dataset, SeededSamples) else []
            status, any_bad = preemption.agree(bool(bad))
            if any_bad:
                self._bad_images.report(dataset, bad, preemption.group)
        if status is not None and (not trained or self._gradients_applied()):
            self._save_and_stop(status, trained, validation_missing=fn_name == 'after_val_iter')

    def _gradients_applied(self) -> bool:
        """Return whether no accumulated gradients would be lost."""
        wrapper = self.optim_wrapper
        return not isinstance(wrapper, OptimWrapper) or wrapper.should_update()

    def gather_statistics(self) -> None:
        """Collect the running statistics of all processes, which a checkpoint then contains.

        All processes must call it. They need not when a checkpoint is saved.
        """
        if self._preemption is not None:
            states = gather_statistics(self.model, self._preemption.group)
            self._statistics = None if states is None else (self.iter, states)

    def _save_and_stop(self, status: int, trained: bool, validation_missing: bool) -> NoReturn:
        """Save the state and end the process, at the end of an iteration of training or not."""
        iterations = self.iter + trained  # the loop counts it afterwards
        name = f'iter_{iterations}.pth'
        meta = dict(epoch=self.epoch, iter=iterations, validation_missing=validation_missing)
        if trained:
            self.gather_statistics()
        self.save_checkpoint(self.work_dir, name, by_epoch=False, meta=meta)
        self.logger.warning(
            f'Stopped by {signal.Signals(status - 128).name} after {iterations} iterations. '
            f'--resume goes on from {name}.'
        )
        if trained and self._preemption is not None:
            self._preemption.wait()  # torchrun ends the others when one has ended
        if uses_gloo():
            end_process(status)
        sys.exit(status)

    def dump_config(self) -> None:
        """Do nothing. mmengine calls it before the job has shown that it can start."""

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args, **kwargs) -> DataLoader:
        """Build a dataloader, whose dataset must not be empty.

        mmengine's infinite sampler would wait forever for an empty dataset.

        Raises:
            UserError: If the dataset is empty; names its type, folder and annotation file. If
                the config has an unknown field.
        """
        if isinstance(dataloader, dict) and (unknown := dataloader.keys() - _LOADER_FIELDS):
            name = min(unknown)
            close = get_close_matches(name, _LOADER_FIELDS, n=1)
            raise UserError(
                f"unknown dataloader field '{name}'."
                + ''.join(f" Did you mean '{field}'?" for field in close)
            )
        try:
            loader = MMEngineRunner.build_dataloader(dataloader, *args, **kwargs)
        except ValueError as error:  # of BaseDataset, which cannot serialise an empty list
            empty = _empty_dataset(dataloader['dataset']) if isinstance(dataloader, dict) else None
            if empty is None:
                raise
            raise UserError(f'{_describe(empty)} has no images.') from error
        if not len(loader.dataset):
            raise UserError(f'{_describe(dataloader["dataset"])} has no images.')
        return loader


def _simple_sampler(loader: Any) -> bool:
    """Return whether a dataloader's config has a known sampler and no batch sampler."""
    if not isinstance(loader, dict) or loader.get('batch_sampler') is not None:
        return False
    sampler = loader.get('sampler')
    return isinstance(sampler, dict) and resolve_type(DATA_SAMPLERS, sampler) in _SAMPLERS


def _read_checkpoint(file: str | Path) -> dict[str, Any]:
    """Read a checkpoint as resuming does, on the command line without running code in it."""
    try:
        return CheckpointLoader.load_checkpoint(str(file), 'cpu')
    except pickle.UnpicklingError:  # OpenMMLab's mmengine cannot load its log buffers
        with safe_checkpoint_loading():
            return CheckpointLoader.load_checkpoint(str(file), 'cpu')


def _optimisation(runner: Runner) -> dict[str, Any]:
    """Return the settings of the optimizer and the schedulers by name."""
    settings: dict[str, Any] = {}
    if isinstance(runner.optim_wrapper, OptimWrapper):
        for group in runner.optim_wrapper.param_groups:
            for name, value in {**group, 'lr': group.get('initial_lr', group['lr'])}.items():
                if name not in ('params', 'initial_lr'):
                    settings.setdefault(name, []).append(value)
        settings = {
            name: values[0] if all(value == values[0] for value in values) else values
            for name, values in settings.items()
        }
    if isinstance(runner.param_schedulers, list):
        for index, scheduler in enumerate(runner.param_schedulers):
            for name, value in scheduler.state_dict().items():
                if not name.startswith('_') and name not in _SCHEDULER_STATE:
                    key = f'{type(scheduler).__name__}.{name}'
                    settings[f'{key} ({index})' if key in settings else key] = (
                        sorted(value.elements()) if isinstance(value, Counter) else value
                    )
    return settings


def _empty_dataset(cfg: dict[str, Any]) -> dict[str, Any] | None:
    """Return the config of the empty dataset in a config, which may be that of a wrapper."""
    inner = cfg.get('datasets') or ([cfg['dataset']] if 'dataset' in cfg else [])
    for part in inner:
        if (empty := _empty_dataset(part)) is not None:
            return empty
    if inner:
        return None
    try:
        dataset = DATASETS.build({**cfg, 'serialize_data': False})
    except (TypeError, ValueError):  # something else is wrong
        return None
    return cfg if not len(dataset) else None


def _describe(cfg: dict[str, Any]) -> str:
    if cfg['type'] is SeededSamples:
        cfg = cfg['dataset']
    paths = [f'{key}={cfg[key]}' for key in ('data_root', 'ann_file') if cfg.get(key)]
    return f'{cfg["type"]}' + f' with {", ".join(paths)}' * bool(paths)
