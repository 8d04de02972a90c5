import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import (
    all_reduce_params,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import MODELS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset

from mmrot.engine.distributed import unwrap
from mmrot.engine.evaluation_data import preprocessor_config
from mmrot.engine.held_log import without_log
from mmrot.errors import UserError
from mmrot.evaluation.features import Features, extract_dataset, pool_features
from mmrot.models.backbones import output_names


class FeatureMonitor(Hook):
    """Base class of the hooks that evaluate a backbone's features during training.

    Images pass through the test pipeline and the backbone in eval mode, unrotated, and feature
    maps are average-pooled. The training is not affected: modes, running statistics and random
    states are restored. In a distributed job, each process extracts a part of the features, with
    batch norm statistics averaged over the processes.

    The metrics are logged at the iteration of the measurement, and at the end of a validation
    they are available to ``save_best`` and early stopping. The first measurement, before the
    first iteration, is the baseline: the initial network, or the one that was loaded.

    Subclasses define ``name``, the prefix of their metrics, and :meth:`evaluate`.

    Args:
        stages: One or several outputs or modules of the backbone, such as ``'block2'``,
            ``'conv3'`` or ``'layer4.0'``. Defaults to what the backbone returns.
        interval: Number of epochs between measurements, or of iterations if the training loop
            counts these. Defaults to that of the validation. The end of the training is
            always measured.
        num_images: Upper bound on the images per dataset, which are evenly spaced in it.
        batch_size: Images per batch and process.
        num_workers: Number of processes that load images.
    """

    # after the statistics of batch norm are averaged, before a checkpoint is saved
    priority = 'LOW'
    name: str

    def __init__(
        self,
        stages: str | Sequence[str] | None = None,
        interval: int | None = None,
        num_images: int = 50_000,
        batch_size: int = 128,
        num_workers: int = 2,
    ) -> None:
        for name, value in (('interval', interval), ('num_images', num_images)):
            if value is not None and value < 1:
                raise UserError(f'{name}={value} is below 1.')
        self.stages = [stages] if isinstance(stages, str) else stages
        self.interval = interval
        self.num_images = num_images
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.metrics: dict[str, float] = {}

    def build_datasets(self, cfg: Config) -> dict[str, Dataset]:
        """Build the datasets whose features are extracted.

        Args:
            cfg: Config of the training.

        Returns:
            Name → dataset.
        """
        raise NotImplementedError

    def evaluate(self, features: dict[str, Features]) -> dict[str, float]:
        """Compute the metrics from features, in the main process.

        Args:
            features: Name of each dataset → its features.

        Returns:
            Name of each metric, without the prefix → value.
        """
        raise NotImplementedError

    def before_train(self, runner: Runner) -> None:
        """Build the datasets.

        Raises:
            UserError: If the model has no such stage, or the data cannot be used.
        """
        backbone = getattr(unwrap(runner.model), 'backbone', None)
        if backbone is None:
            raise UserError(f'{type(self).__name__}: the model has no backbone.')
        self._backbone = _PooledStages(backbone, self.stages)
        with _preserved_random_state(), without_log():
            preprocessor = MODELS.build(preprocessor_config(runner.cfg))
            self._datasets = {
                name: self._subset(dataset)
                for name, dataset in self.build_datasets(runner.cfg).items()
            }
        self._preprocessor = preprocessor.to(next(backbone.parameters()).device)
        self._by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        self._every = self.interval or runner.train_loop.val_interval
        self._measured = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Measure the baseline, after all hooks have prepared the network.

        Raises:
            UserError: If ``save_best`` follows a metric that this monitor does not log.
        """
        if self._measured:
            return
        self._measure(runner, runner.epoch, runner.iter)
        self._measured = True
        for hook in runner.hooks:
            for key in getattr(hook, 'key_indicators', None) or ():
                if key.startswith(f'{self.name}/') and key not in self.metrics:
                    raise UserError(
                        f'save_best={key} is not logged; {type(self).__name__} logs '
                        f'{", ".join(self.metrics)}.'
                    )

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure, if it is time to and the loop counts epochs."""
        if self._by_epoch and (
            self.every_n_epochs(runner, self._every) or self.is_last_train_epoch(runner)
        ):
            self._measure(runner, runner.epoch + 1, runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None):
        """Measure, if it is time to and the loop counts iterations."""
        if not self._by_epoch and (
            self.every_n_train_iters(runner, self._every) or self.is_last_train_iter(runner)
        ):
            self._measure(runner, runner.epoch, runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the latest values to the metrics, for the hooks that follow."""
        if metrics is not None:  # the values have been logged, with their own iteration
            metrics.update(self.metrics)

    def _measure(self, runner: Runner, epoch: int, iteration: int) -> None:
        start = time.time()
        with _preserved_random_state(), _averaged_statistics(self._backbone):
            features = {
                name: extract_dataset(
                    self._backbone,
                    self._preprocessor,
                    dataset,
                    dict.fromkeys(self._backbone.names, 'avg'),
                    self.batch_size,
                    self.num_workers,
                    progress=False,
                )
                for name, dataset in self._datasets.items()
            }
            # one process decides, so that all agree on the best checkpoint
            values = [self.evaluate(features) if is_main_process() else {}]
            broadcast_object_list(values)
        self.metrics = {f'{self.name}/{key}': value for key, value in values[0].items()}
        for key, value in self.metrics.items():
            runner.message_hub.update_scalar(f'monitor/{key}', value)
        when = f'Epoch(monitor) [{epoch}]' if self._by_epoch else f'Iter(monitor) [{iteration}]'
        text = '  '.join(f'{key}: {value:.4f}' for key, value in self.metrics.items())
        print_log(f'{when}  {text}  time: {time.time() - start:.1f} s', logger='current')
        runner.visualizer.add_scalars(
            {**self.metrics, 'epoch': epoch, 'iter': iteration}, step=iteration
        )

    def _subset(self, dataset: Any) -> Dataset:
        if len(dataset) > self.num_images:
            spaced = np.linspace(0, len(dataset) - 1, self.num_images).round().astype(int)
            dataset.get_subset_(spaced.tolist())
        return dataset


class _PooledStages(nn.Module):
    """Return the average-pooled outputs of modules of a backbone.

    Args:
        backbone: Backbone that returns a tuple.
        stages: Names of its outputs or modules. Defaults to what it returns.

    Raises:
        UserError: If there is no such module.
    """

    def __init__(self, backbone: nn.Module, stages: Sequence[str] | None) -> None:
        super().__init__()
        self.backbone = backbone
        modules = getattr(backbone, 'output_modules', {})
        self.stages = {name: modules.get(name, name) for name in stages or ()}
        known = dict(backbone.named_modules())
        if unknown := [name for name, module in self.stages.items() if module not in known]:
            children = ', '.join(name for name, _ in backbone.named_children())
            raise UserError(f"The backbone has no stage '{unknown[0]}'. It has {children}.")
        self.names = list(self.stages) or output_names(backbone)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return (N, C) of each stage for images (N, 3, H, W)."""
        if not self.stages:
            outputs = self.backbone(x)
            outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
            return tuple(pool_features(output) for output in outputs)
        pooled: dict[str, Tensor] = {}

        def pool(name: str) -> Any:
            # at once, since a module that follows may change the output in place
            return lambda module, args, output: pooled.update({name: pool_features(output)})

        handles = [
            self.backbone.get_submodule(module).register_forward_hook(pool(name))
            for name, module in self.stages.items()
        ]
        try:
            self.backbone(x)
        finally:
            for handle in handles:
                handle.remove()
        if missing := [name for name in self.stages if name not in pooled]:
            children = ', '.join(
                f'{missing[0]}.{name}'
                for name, _ in self.backbone.get_submodule(missing[0]).named_children()
            )
            raise UserError(
                f"The backbone does not call its stage '{missing[0]}' as a module. "
                f'Use one of {children}.'
            )
        return tuple(pooled[name] for name in self.stages)


@contextmanager
def _preserved_random_state() -> Iterator[None]:
    """Restore the states of all random generators at the end."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _averaged_statistics(network: nn.Module) -> Iterator[None]:
    """Average the running statistics of batch norm over the processes; restore them at the end."""
    buffers = [
        buffer
        for module in network.modules()
        if isinstance(module, _BatchNorm)
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    if get_world_size() == 1 or not buffers:
        yield
        return
    own = [buffer.clone() for buffer in buffers]
    all_reduce_params(buffers, op='mean')
    try:
        yield
    finally:
        for buffer, value in zip(buffers, own, strict=True):
            buffer.copy_(value)
