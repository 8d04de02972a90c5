"""What the command line tools share: arguments, configs, one-line errors."""

import argparse
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner as MMEngineRunner

from mmrot.runner import Runner

# The fields of a config that mmengine reads: the Runner's arguments and a few
# that it takes from the config itself.
RUNNER_FIELDS = (set(inspect.signature(MMEngineRunner.__init__).parameters) - {'self', 'cfg'}) | {
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
}
_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def build_parser(description: str) -> argparse.ArgumentParser:
    """Make a parser with the arguments that training and testing share.

    Args:
        description (str): What the tool does.

    Returns:
        argparse.ArgumentParser: With the config, ``--work-dir``, ``--amp``,
        ``--image-folder``, ``--cfg-options``, ``--launcher`` and others.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and models')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--image-folder',
        nargs='+',
        metavar='DIR',
        help='take the photos in DIR, nested folders included, no labels needed, in place of the '
        "config's data set; of one DIR every 20th photo is held out for validation, a second DIR "
        'is validated on instead',
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='turn off pin_memory in the dataloaders'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as key=value: model.angles=0,180 '
        'train_dataloader.batch_size=64 data_root=/data/imagenet; lists as key="[a,b]" or key=a,b',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes it; torchrun does not
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the arguments that all tools share.

    Args:
        args (argparse.Namespace): From a parser of :func:`build_parser`.

    Returns:
        Config: With ``launcher`` and ``work_dir`` set and options merged.

    Raises:
        ValueError: If a field is misspelt.
        FileNotFoundError: If the config does not exist.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    options = dict(args.cfg_options or {})
    check_fields(cfg, options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if args.image_folder is not None:
        use_image_folder(cfg, *args.image_folder)
    if 'data_root' in options:
        set_data_root(cfg, options['data_root'])
    set_dataloader_defaults(cfg, args)
    cfg.merge_from_dict(options)
    for field, _ in _datasets(cfg):
        if not cfg[field].get('num_workers'):
            cfg[field].persistent_workers = False  # torch refuses it without workers
    return cfg


def check_fields(cfg: Config, options: dict) -> None:
    """Refuse misspelt top-level fields, which mmengine would silently ignore.

    A field of the config that is nearly one of the Runner's is a slip; other
    names are the config's own variables. An option must name a field that the
    config or the Runner has. Deeper keys are checked by the classes they go to.

    Args:
        cfg (Config): The config as read.
        options (dict): ``--cfg-options``, with dotted keys.

    Raises:
        ValueError: Names the field and the closest one.
    """
    for field in cfg:
        if field not in RUNNER_FIELDS:
            close = get_close_matches(field, RUNNER_FIELDS, n=1, cutoff=0.9)
            if close:
                raise ValueError(f"config field '{field}': expected '{close[0]}'?")
    known = RUNNER_FIELDS | set(cfg)
    for key in options:
        field = key.partition('.')[0]
        if field not in known:
            close = get_close_matches(field, known, n=3, cutoff=0.5)
            raise ValueError(
                f"--cfg-options {key}: the config has no field '{field}', expected "
                f'{", ".join(close) or "one of " + ", ".join(sorted(cfg))}'
            )


def _datasets(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    for field in _DATALOADERS:
        if cfg.get(field) is not None:
            yield field, cfg[field].dataset


def set_data_root(cfg: Config, data_root: str) -> None:
    """Let the data sets follow when the config's ``data_root`` is overridden.

    Args:
        cfg (Config): A config with a top-level ``data_root``; changed in place.
        data_root (str): The new folder.

    Raises:
        ValueError: If no data set of the config lies there.
    """
    moved = False
    for _, dataset in _datasets(cfg):
        if dataset.get('data_root') == cfg.data_root:
            dataset.data_root = data_root
            moved = True
    if not moved:
        raise ValueError(f"data_root={data_root}: no data set of the config has the config's one")


def use_image_folder(cfg: Config, train: str, val: str | None = None, *more: str) -> None:
    """Point a pretraining config at a folder of photos without labels.

    Args:
        cfg (Config): Any pretraining config; changed in place. Its pipelines
            stay, behind a loader if they had none.
        train (str): Folder to train on.
        val (str, optional): Folder to validate and test on. By default every
            20th photo of ``train`` is held out for that.
        *more (str): Nothing more is expected.

    Raises:
        ValueError: If there are more than two folders.
    """
    if more:
        raise ValueError(f'--image-folder {train} {val} {" ".join(more)}: expected one or two')
    loader = 'mmpretrain.LoadImageFromFile'
    for field, dataset in _datasets(cfg):
        pipeline = dataset.pipeline
        if not any(step['type'].endswith('LoadImageFromFile') for step in pipeline):
            pipeline.insert(0, ConfigDict(type=loader))
            cfg.data_preprocessor.to_rgb = True  # it loads BGR
        training = field == 'train_dataloader'
        split = 'all' if val is not None else 'train' if training else 'val'
        root = train if training or val is None else val
        cfg[field].dataset = ConfigDict(
            type='mmrot.ImageFolder', data_root=root, split=split, pipeline=pipeline
        )


def set_dataloader_defaults(cfg: Config, args: argparse.Namespace) -> None:
    """Complete the dataloaders as the launcher of the config's host does.

    mmpretrain's configs expect its launcher's defaults; the ones of mmdet and
    mmseg say everything themselves.

    Args:
        cfg (Config): Changed in place.
        args (argparse.Namespace): With ``no_pin_memory`` and, for training,
            ``no_persistent_workers``.
    """
    for field, _ in _datasets(cfg):
        loader = cfg[field]
        if cfg.get('default_scope') == 'mmpretrain':
            loader.setdefault('pin_memory', True)
            loader.setdefault('persistent_workers', True)
            loader.setdefault('collate_fn', dict(type='default_collate'))
        if args.no_pin_memory or not torch.cuda.is_available():
            loader.pin_memory = False
        if getattr(args, 'no_persistent_workers', False):
            loader.persistent_workers = False


def build_runner(cfg: Config) -> MMEngineRunner:
    """Build the runner that a config asks for, mmrot's by default."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextmanager
def one_line_errors() -> Iterator[list]:
    """Report what keeps a job from starting in one line, with exit status 1.

    Yields:
        list: Append the runner to it: errors after it is ready, in training or
        testing, keep their traceback. So do all with ``MMROT_TRACEBACK=1``.
    """
    runners: list = []
    try:
        yield runners
    except Exception as error:
        if os.environ.get('MMROT_TRACEBACK') or any(getattr(r, 'ready', True) for r in runners):
            raise
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
        if len(text) > 600:
            text = text[:600] + ' ...'
        rank = int(os.environ.get('RANK', 0))
        where = f' (rank {rank})' if rank else ''
        sys.exit(f'mmrot: error{where}: {text} [MMROT_TRACEBACK=1 shows where]')
