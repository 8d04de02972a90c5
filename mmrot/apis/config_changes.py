"""Change the model or the training of a config: each function returns a modified copy."""

import copy
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import PretrainedInit
from mmengine.registry import HOOKS, MODELS, WEIGHT_INITIALIZERS

from mmrot.engine.bfloat16_optim_wrapper import has_bfloat16
from mmrot.engine.hooks import LoadBackboneHook, ResultTableHook
from mmrot.errors import UserError
from mmrot.models import RotationPred

from .config_parts import innermost_datasets, is_a
from .data_changes import class_folders

# Names of --monitor and their hooks.
MONITORS = {
    'rank': 'mmrot.RankMonitor',
    'knn': 'mmrot.KNNMonitor',
    'linear': 'mmrot.LinearMonitor',
}


def with_monitors(cfg: Config, names: Sequence[str], labelled_folder: str | None = None) -> Config:
    """Return a config that evaluates the features of the backbone during training.

    Args:
        cfg: Config of pretraining or classification.
        names: ``'rank'``, ``'knn'`` or ``'linear'``: :class:`mmrot.RankMonitor`,
            :class:`mmrot.KNNMonitor` or :class:`mmrot.LinearMonitor`. Monitors that the config
            already has are kept.
        labelled_folder: Folder with ``train/<class>/`` and ``val/<class>/`` or ``test/<class>/``
            for the kNN and linear monitors, instead of the data of the config.

    Raises:
        UserError: If the config is of another kind, or the folder is not of this layout.
    """
    cfg = copy.deepcopy(cfg)
    if cfg.get('default_scope') not in ('mmpretrain', 'mmrot') or not cfg.model.get('backbone'):
        raise UserError('--monitor needs a config of pretraining or classification.')
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    for name in names:
        hook = hooks.setdefault(f'{name}_monitor', ConfigDict(type=MONITORS[name]))
        if labelled_folder is not None and name != 'rank':
            splits, _ = class_folders(labelled_folder)
            hook.update(train_dataset=splits['train'], test_dataset=splits['test'])
    return cfg


def with_backbone(cfg: Config, checkpoint: str, trust: bool = False) -> Config:
    """Return a config that starts from a pretrained backbone, and from nothing else.

    Args:
        cfg: Config of a model with a backbone. :class:`mmrot.LoadBackboneHook` is added
            unless it has one. Weights that the config itself would load into the backbone
            (``init_cfg``, ``pretrained``) are not loaded.
        checkpoint: Checkpoint file, or ``'random'``.
        trust: Whether to unpickle arbitrary objects in the file, which can run code.

    Raises:
        UserError: If the model has no backbone, or the config sets ``load_from``.
    """
    cfg = copy.deepcopy(cfg)
    if 'backbone' not in cfg.model:
        raise UserError(f'--backbone {checkpoint}: the config has no model.backbone.')
    if cfg.get('load_from'):
        raise UserError(
            f'--backbone {checkpoint}: the config also loads {cfg.load_from}. Set load_from=None.'
        )
    for module in (cfg.model, cfg.model.backbone):
        module.pop('pretrained', None)
        init = module.get('init_cfg')
        if isinstance(init, dict) and is_a(cfg, WEIGHT_INITIALIZERS, init, PretrainedInit):
            del module['init_cfg']
    own_hook = dict(type='mmrot.LoadBackboneHook')
    hook = _ensure_hook(cfg, 'load_backbone', LoadBackboneHook, own_hook)
    hook.update(checkpoint=checkpoint, trust=trust)
    return cfg


def with_result_table(cfg: Config) -> Config:
    """Return a config that ends with a table of its results, see :class:`mmrot.ResultTableHook`.

    Args:
        cfg: Config of any evaluation. Its own hook is kept.
    """
    cfg = copy.deepcopy(cfg)
    _ensure_hook(cfg, 'result_table', ResultTableHook, dict(type='mmrot.ResultTableHook'))
    return cfg


def _ensure_hook(cfg: Config, key: str, kind: type, default: dict[str, Any]) -> ConfigDict:
    """Return a hook of a config, which is added to ``default_hooks`` if there is none.

    A list of mmrot's hooks in ``custom_hooks`` replaces those in ``default_hooks``.
    """
    custom = cfg.get('custom_hooks') or []
    for hook in custom:
        if is_a(cfg, HOOKS, hook, kind):
            return hook
    if any(is_a(cfg, HOOKS, hook, LoadBackboneHook | ResultTableHook) for hook in custom):
        cfg.custom_hooks = [*custom, default]
        return cfg.custom_hooks[-1]
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    if hooks.get(key) is None:
        hooks[key] = default
    return hooks[key]


def with_amp(cfg: Config, dtype: str | None = None) -> Config:
    """Return a config that trains in mixed precision. Weights and checkpoints stay float32.

    Args:
        cfg: Config.
        dtype: ``'bfloat16'``, or ``'float16'`` with a loss scale, on a GPU only. By default
            bfloat16, or float16 on a GPU that has no bfloat16. Detectors need float16: mmcv's
            NMS and RoI operators do not accept bfloat16.

    Raises:
        UserError: If float16 is requested on a CPU, or bfloat16 for a detector.
    """
    cfg = copy.deepcopy(cfg)
    on_cpu = get_device() == 'cpu'
    # pretraining configs can inherit from mmdet as well
    if cfg.get('default_scope') == 'mmdet' and not is_a(cfg, MODELS, cfg.model, RotationPred):
        if on_cpu or dtype == 'bfloat16':
            raise UserError(
                'detectors cannot be trained in bfloat16, which operators of mmcv do not accept: '
                + ('on a CPU, train without --amp.' if on_cpu else 'use float16.')
            )
        dtype = 'float16'
    if dtype == 'float16' and on_cpu:
        raise UserError('float16 needs a GPU: on a CPU, use bfloat16.')
    if dtype is None:
        dtype = 'bfloat16' if on_cpu or has_bfloat16() else 'float16'
    if dtype == 'bfloat16':
        cfg.optim_wrapper.type = 'mmrot.BFloat16OptimWrapper'
    else:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def with_vis_backends(cfg: Config, names: Sequence[str]) -> Config:
    """Return a config that also logs to TensorBoard or Weights & Biases.

    The local files of the config are written as before. Validation is logged over iterations,
    as training is, instead of epochs.

    Args:
        cfg: Config of mmrot, mmpretrain, mmdet or mmseg.
        names: ``'tensorboard'``, ``'wandb'`` or both.

    Raises:
        UserError: If their package is not installed.
    """
    cfg = copy.deepcopy(cfg)
    visualizer = cfg.get('visualizer') or ConfigDict(type='mmengine.Visualizer')
    backends = visualizer.get('vis_backends') or [ConfigDict(type='mmengine.LocalVisBackend')]
    for name in names:
        if find_spec(name) is None:
            raise UserError(f'--vis {name} needs a package: pip install {name}')
        kind = f'{name.capitalize()}VisBackend'
        if not any(backend.type.rpartition('.')[2] == kind for backend in backends):
            backends.append(ConfigDict(type=f'mmengine.{kind}'))
    cfg.visualizer = {**visualizer, 'vis_backends': backends}
    hooks = cfg.get('default_hooks', {})
    logger = {'type': 'mmengine.LoggerHook', **hooks.get('logger', {})}
    cfg.default_hooks = {**hooks, 'logger': {**logger, 'log_metric_by_epoch': False}}
    return cfg


def with_tta(cfg: Config) -> Config:
    """Return a config that tests with the test-time augmentation it defines.

    Raises:
        UserError: If ``tta_model`` or ``tta_pipeline`` is missing.
    """
    cfg = copy.deepcopy(cfg)
    for field in ('tta_model', 'tta_pipeline'):
        if field not in cfg:
            raise UserError(f'--tta: the config has no {field}.')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    return cfg


def with_drawing(
    cfg: Config,
    show: bool = False,
    out_dir: str | None = None,
    interval: int = 1,
    wait_time: float = 2.0,
) -> Config:
    """Return a config that draws predictions on test images.

    Args:
        cfg: Config of mmpretrain, mmdet or mmseg.
        show: Whether to show the pictures in a window.
        out_dir: Folder for the pictures.
        interval: Interval between drawn images or batches.
        wait_time: Seconds to show each picture.

    Raises:
        UserError: If ``default_hooks.visualization`` is missing, as in pretraining.
    """
    cfg = copy.deepcopy(cfg)
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise UserError('--show: the config has no default_hooks.visualization to draw with.')
    scope = cfg.get('default_scope')
    hook.update(show=show, wait_time=wait_time, interval=interval)
    hook['enable' if scope == 'mmpretrain' else 'draw'] = True
    if out_dir is not None and scope == 'mmseg':
        cfg.visualizer.save_dir = out_dir
    elif out_dir is not None:
        hook['out_dir' if scope == 'mmpretrain' else 'test_out_dir'] = out_dir
    return cfg


def with_loader_defaults(
    cfg: Config, pin_memory: bool = True, persistent_workers: bool = True
) -> Config:
    """Return a config with the dataloader defaults of mmpretrain's training script.

    mmpretrain's configs rely on these; those of mmdet and mmseg are complete.

    Args:
        cfg: Any config.
        pin_memory: False disables it; so does a machine without a GPU.
        persistent_workers: False disables them.
    """
    cfg = copy.deepcopy(cfg)
    for field, _ in innermost_datasets(cfg):
        loader = cfg[field]
        if cfg.get('default_scope') == 'mmpretrain':
            loader.setdefault('pin_memory', True)
            loader.setdefault('persistent_workers', True)
            loader.setdefault('collate_fn', dict(type='default_collate'))
        if not pin_memory or not torch.cuda.is_available():
            loader.pin_memory = False
        if not persistent_workers:
            loader.persistent_workers = False
    return cfg


def with_options(cfg: Config, options: dict[str, Any]) -> Config:
    """Return a config with individual settings overridden.

    If the config validates and tests on the same data, settings of ``val_dataloader``
    and ``val_evaluator`` also apply to ``test_dataloader`` and ``test_evaluator``.

    Args:
        cfg: Any config.
        options: Dotted key → new value, such as ``{'model.angles': (0, 180)}``.
    """
    cfg = copy.deepcopy(cfg)
    for name in ('dataloader', 'evaluator'):
        if cfg.get(f'val_{name}') == cfg.get(f'test_{name}'):
            prefix = f'val_{name}.'
            copied = {
                f'test_{key.removeprefix("val_")}': value
                for key, value in options.items()
                if key.startswith(prefix)
            }
            options = {**copied, **options}
    cfg.merge_from_dict(options)
    for field, _ in innermost_datasets(cfg):
        if not cfg[field].get('num_workers'):
            cfg[field].persistent_workers = False  # torch requires workers for it
    return cfg
