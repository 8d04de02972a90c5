"""Build a checked config and its runner from command-line arguments."""

import argparse
import inspect
import os
from difflib import get_close_matches
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner as MMEngineRunner

from mmrot.apis import (
    cached_images,
    in_memory,
    with_backbone,
    with_data_root,
    with_image_folder,
    with_image_size,
    with_labelled_folder,
    with_loader_defaults,
    with_monitors,
    with_options,
    with_result_table,
)
from mmrot.config import read_config
from mmrot.engine.runner import Runner
from mmrot.errors import UserError

from . import quiet_import

# Fields that mmengine reads: the Runner's arguments, and some from the config itself.
RUNNER_FIELDS = (set(inspect.signature(MMEngineRunner.__init__).parameters) - {'self', 'cfg'}) | {
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'max_bad_share',
    'model_wrapper_cfg',
    'overwrite',
    'runner_type',
    'sync_bn',
}
# Read by `mmrot test`. Not in RUNNER_FIELDS: test_pipeline would look like a misspelling.
_TTA_FIELDS = {'tta_model', 'tta_pipeline'}
# Keys of the fields that no class validates.
_KEYS = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}


def load_config(args: argparse.Namespace) -> Config:
    """Read a config and apply the options that all commands share.

    Args:
        args: Arguments of :func:`mmrot.cli.parser.job_parser`.

    Raises:
        UserError: If there is no such config, or an option does not apply to it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    host = cfg.get('default_scope')
    if host in ('mmpretrain', 'mmdet', 'mmseg'):
        quiet_import(f'{host}.datasets')
    options = dict(args.cfg_options or {})
    check_fields(cfg, options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    if 'data_root' in options:
        cfg = with_data_root(cfg, options['data_root'])
    if args.image_size is not None:
        cfg = with_image_size(cfg, args.image_size)
    if getattr(args, 'image_folder', None) is not None:
        cfg = with_image_folder(cfg, *args.image_folder)
    photos, monitors = getattr(args, 'image_folder', None), getattr(args, 'monitor', None) or ()
    for_monitors = photos is not None and not {'knn', 'linear'}.isdisjoint(monitors)
    if args.labelled_folder is not None and not for_monitors:
        cfg = with_labelled_folder(cfg, args.labelled_folder)
    if monitors:
        cfg = with_monitors(cfg, monitors, args.labelled_folder if for_monitors else None)
    cache = getattr(args, 'cache_images', None)
    if cache is None and getattr(args, 'cache_short_side', None) is not None:
        raise UserError('--cache-short-side needs --cache-images.')
    if cache is not None and args.in_memory:
        raise UserError('--cache-images excludes --in-memory.')
    if args.in_memory:
        cfg = in_memory(cfg)
    if cache is not None:
        # they decide the size of the cached images, and count the steps as the config does
        of_pipelines = {key: options.pop(key) for key in list(options) if '.pipeline' in key}
        cfg = cached_images(with_options(cfg, of_pipelines), cache, args.cache_short_side)
    if args.backbone is not None:
        cfg = with_backbone(cfg, args.backbone, args.trust)
    if getattr(args, 'result_table', False):
        cfg = with_result_table(cfg)
    cfg = with_loader_defaults(
        cfg, not args.no_pin_memory, not getattr(args, 'no_persistent_workers', False)
    )
    return with_options(cfg, options)


def check_fields(cfg: Config, options: dict) -> None:
    """Check for fields and options that mmengine would silently ignore.

    A field of the config whose name is close to one of the Runner's is treated as a
    misspelling; other names are the config's own variables. An option must name a
    field of the Runner, or ``data_root``: other variables were copied into such
    fields when the config was read. Deeper keys are checked by the classes of the
    fields.

    Args:
        cfg: Config as read from its file.
        options: Dotted key → value of ``--cfg-options``.

    Raises:
        UserError: If a name is unknown; the message suggests the closest ones.
    """
    for field in cfg:
        if not field.startswith(tuple(RUNNER_FIELDS)):
            close = get_close_matches(field, RUNNER_FIELDS, n=1, cutoff=0.85)
            if close:
                raise UserError(f"Unknown config field '{field}'. Did you mean '{close[0]}'?")
    known = RUNNER_FIELDS | ({'data_root', *_TTA_FIELDS} & set(cfg))
    for key in options:
        field, _, rest = key.partition('.')
        if field not in known:
            close = get_close_matches(field, known, n=3, cutoff=0.75)
            raise UserError(
                f"--cfg-options {key}: '{field}' "
                + ('is only a variable of the config' if field in cfg else 'is not a field')
                + f'; expected {", ".join(close or sorted(known & set(cfg)))}.'
            )
        part = rest.partition('.')[0]
        if part and part not in _KEYS.get(field, {part}):
            raise UserError(
                f'--cfg-options {key}: expected one of {", ".join(sorted(_KEYS[field]))} in '
                f'{field}.'
            )


def build_runner(cfg: Config) -> MMEngineRunner:
    """Build the runner named in the config, by default mmrot's."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
