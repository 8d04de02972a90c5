"""What the command line tools share: arguments, configs, one-line errors."""

import argparse
import atexit
import inspect
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.registry import RUNNERS
from mmengine.runner import Runner as MMEngineRunner

from mmrot.engine.runner import Runner
from mmrot.errors import UserError

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
# Fields that tools/test.py reads; as names they are too close to test_pipeline
# to catch slips by.
_TTA_FIELDS = {'tta_model', 'tta_pipeline'}
# The keys of fields that no class checks.
_KEYS = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}
_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class _Options(DictAction):
    """mmengine's ``KEY=VALUE``, which keeps the spaces of a path."""

    @staticmethod
    def _parse_iterable(value: str) -> Any:
        if ' ' in value and not set('[](),') & set(value):
            return DictAction._parse_int_float_bool(value.strip('\'"'))
        return DictAction._parse_iterable(value)


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
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision; in bfloat16 on a CPU'
    )
    parser.add_argument(
        '--image-folder',
        nargs='+',
        metavar='DIR',
        help='take the photos in DIR, nested folders included, no labels needed, in place of the '
        "config's data set; of one DIR every 20th photo is held out for validation, a second DIR "
        'is validated on instead',
    )
    parser.add_argument(
        '--labelled-folder',
        metavar='DIR',
        help="take the photos in DIR/train/<class>/ in place of the config's data set, and "
        'validate on DIR/val/<class>/ or DIR/test/<class>/',
    )
    parser.add_argument(
        '--in-memory',
        action='store_true',
        help='hold the images, which are small, in memory, on the GPU where there is one, and '
        'augment whole batches there',
    )
    parser.add_argument(
        '--backbone',
        metavar='FILE',
        help="what a probe's backbone is loaded from: a checkpoint of pretraining as it is, or a "
        "bare backbone; 'random' asks for random initialisation",
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='load checkpoints that hold more than weights; a file can run any code then',
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='turn off pin_memory in the dataloaders'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
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
        UserError: If a field is misspelt.
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
    if 'data_root' in options:
        set_data_root(cfg, options['data_root'])
    if args.image_folder is not None:
        use_image_folder(cfg, *args.image_folder)
    if args.labelled_folder is not None:
        use_labelled_folder(cfg, args.labelled_folder)
    if args.in_memory:
        use_memory(cfg)
    if args.backbone is not None:
        set_backbone(cfg, args.backbone, args.trust)
    set_dataloader_defaults(cfg, args)
    # most configs test on what they validate on, by a copy
    for name in ('dataloader', 'evaluator'):
        if cfg.get(f'val_{name}') == cfg.get(f'test_{name}'):
            prefix = f'val_{name}.'
            also = {f'test_{key[4:]}': v for key, v in options.items() if key.startswith(prefix)}
            options = {**also, **options}
    cfg.merge_from_dict(options)
    for field, _ in _datasets(cfg):
        if not cfg[field].get('num_workers'):
            cfg[field].persistent_workers = False  # torch refuses it without workers
    return cfg


def check_fields(cfg: Config, options: dict) -> None:
    """Refuse fields and options that mmengine would silently ignore.

    A field of the config that is nearly one of the Runner's is a slip; other
    names are the config's own variables. An option must name a field of the
    Runner, or ``data_root``: the config's other variables were copied into such
    fields when it was read. Deeper keys are checked by the classes they go to,
    except for the few fields that no class reads.

    Args:
        cfg (Config): The config as read.
        options (dict): ``--cfg-options``, with dotted keys.

    Raises:
        UserError: Names the field and the closest one.
    """
    for field in cfg:
        if not field.startswith(tuple(RUNNER_FIELDS)):
            close = get_close_matches(field, RUNNER_FIELDS, n=1, cutoff=0.85)
            if close:
                raise UserError(f"config field '{field}': expected '{close[0]}'?")
    known = RUNNER_FIELDS | ({'data_root', *_TTA_FIELDS} & set(cfg))
    for key in options:
        field, _, rest = key.partition('.')
        if field not in known:
            what = 'is a variable of the config, set the fields it went to' if field in cfg else ''
            close = get_close_matches(field, known, n=3, cutoff=0.5)
            raise UserError(
                f"--cfg-options {key}: '{field}' {what or 'is not a field'}; expected "
                f'{", ".join(close) or "one of " + ", ".join(sorted(known & set(cfg)))}'
            )
        part = rest.partition('.')[0]
        if part and part not in _KEYS.get(field, {part}):
            raise UserError(
                f'--cfg-options {key}: expected {field}.{{{", ".join(sorted(_KEYS[field]))}}}'
            )


def _datasets(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    for field in _DATALOADERS:
        if cfg.get(field) is not None:
            yield field, cfg[field].dataset


def set_data_root(cfg: Config, data_root: str) -> None:
    """Let data sets and evaluators follow when ``data_root`` is overridden.

    Args:
        cfg (Config): A config with a top-level ``data_root``; every path in its
            dataloaders and evaluators that starts there moves. Changed in place.
        data_root (str): The new folder.

    Raises:
        UserError: If no data set of the config lies there.
    """
    old = cfg.data_root.rstrip('/')
    moved = 0

    def move(value: Any) -> Any:
        nonlocal moved
        if isinstance(value, dict):
            for key in value:
                value[key] = move(value[key])
        elif isinstance(value, list | tuple):
            return type(value)(move(item) for item in value)
        elif isinstance(value, str) and (value == old or value.startswith(f'{old}/')):
            moved += 1
            return data_root.rstrip('/') + value[len(old) :]
        return value

    for field in (*_DATALOADERS, 'val_evaluator', 'test_evaluator'):
        if cfg.get(field) is not None:
            cfg[field] = move(cfg[field])
    if not moved:
        raise UserError(f'data_root={data_root}: no data set of the config lies in {old}')


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
        UserError: If there are more than two folders, or a data set that is
            wrapped in another one.
    """
    if more:
        raise UserError(f'--image-folder {train} {val} {" ".join(more)}: expected one or two')
    if str(cfg.model.get('head', {}).get('type', '')).endswith('LayerProbes'):
        raise UserError('--image-folder: a probe needs labels, expected --labelled-folder')
    for field, dataset in _datasets(cfg):
        if 'pipeline' not in dataset:
            raise UserError(
                f'--image-folder: {field}.dataset of type {dataset.get("type")} has no pipeline, '
                'expected a pretraining config'
            )
        training = field == 'train_dataloader'
        split = 'all' if val is not None else 'train' if training else 'val'
        root = train if training or val is None else val
        cfg[field].dataset = ConfigDict(
            type='mmrot.ImageFolder',
            data_root=root,
            split=split,
            pipeline=_reading_files(cfg, dataset.pipeline),
        )


def _reading_files(cfg: Config, pipeline: list) -> list:
    """Put a loader of image files before a pipeline that has none."""
    if any(str(step['type']).endswith('LoadImageFromFile') for step in pipeline):
        return pipeline
    cfg.data_preprocessor.to_rgb = True  # the loader gives BGR
    return [ConfigDict(type='mmpretrain.LoadImageFromFile'), *pipeline]


def use_labelled_folder(cfg: Config, root: str) -> None:
    """Point a probe config at a folder of photos per class.

    Args:
        cfg (Config): Any classification config; changed in place. Its pipelines
            and wrappers of data sets stay; the head gets the number of classes, and
            softmax in place of a sigmoid for each.
        root (str): Folder with ``train/<class>/`` and ``val/<class>/`` or
            ``test/<class>/``.

    Raises:
        UserError: If a split is not there or has other classes than the
            training photos, or the config is of another task.
    """
    if 'head' not in cfg.model:
        raise UserError(
            '--labelled-folder: expected a config of classification, whose model has a head'
        )
    splits = {
        'train': 'train',
        'val': 'val' if Path(root, 'val').is_dir() else 'test',
    }
    classes = {}
    for what, split in splits.items():
        folder = Path(root, split)
        if not folder.is_dir():
            raise UserError(
                f'--labelled-folder {root}: expected train/<class>/ and val/<class>/ or '
                f'test/<class>/, there is no {split}/'
            )
        classes[what] = {path.name for path in folder.iterdir() if path.is_dir()}
    if classes['train'] != classes['val'] or not classes['train']:
        odd = sorted(classes['train'] ^ classes['val'])
        raise UserError(
            f'--labelled-folder {root}: expected the same classes in train/ and '
            f'{splits["val"]}/; not in both: {", ".join(odd[:5]) or "there is none"}'
        )
    for field, dataset in _datasets(cfg):
        wrappers = [cfg[field]]
        while 'dataset' in dataset:
            wrappers.append(dataset)
            dataset = dataset.dataset
        split = splits['train' if field == 'train_dataloader' else 'val']
        wrappers[-1].dataset = ConfigDict(
            type='mmpretrain.CustomDataset',
            data_root=root,
            data_prefix=split,
            pipeline=_reading_files(cfg, dataset.pipeline),
        )
    head = cfg.model.head
    head.num_classes = len(classes['train'])
    if str(head.type).endswith('MultiLabelLinearClsHead'):  # a photo has one class
        head.type = 'mmpretrain.LinearClsHead'
        head.loss.use_sigmoid = False


# Steps of a pipeline that do the same every time, so that once is enough.
_NOT_RANDOM = ('LoadImageFromFile', 'Resize', 'ResizeEdge', 'CenterCrop', 'PackInputs')


def _pads_evenly(step: ConfigDict) -> bool:
    """Say whether a RandomCrop is of zeros on every side and nothing else."""
    whole = (step.get('crop_size'), step.get('padding') or 0)
    return set(step) <= {'type', 'crop_size', 'padding'} and all(isinstance(x, int) for x in whole)


def _flips_half(step: ConfigDict) -> bool:
    """Say whether a RandomFlip mirrors half of the images left to right."""
    return step.get('prob') == 0.5 and step.get('direction', 'horizontal') == 'horizontal'


def use_memory(cfg: Config) -> None:
    """Hold a config's images in memory and augment whole batches.

    Args:
        cfg (Config): Of pretraining or of a probe; changed in place. The random
            steps of its pipelines may be ``RandomCrop`` and ``RandomFlip``,
            behind all others but the packing.

    Raises:
        UserError: If a pipeline has other random steps, or none.
    """
    for field, dataset in _datasets(cfg):
        inner = dataset
        while 'dataset' in inner:
            inner = inner.dataset
        random: dict[str, Any] = {}
        fixed = []
        for step in inner.get('pipeline', ()):
            name = str(step['type']).rpartition('.')[2]
            if name == 'RandomCrop' and _pads_evenly(step):
                random.update(crop_size=step.crop_size, padding=step.get('padding') or 0)
            elif name == 'RandomFlip' and _flips_half(step):
                random['flip'] = True
            elif name not in _NOT_RANDOM or (random and name != 'PackInputs'):
                raise UserError(f'--in-memory: {field} has the step {name}, which needs workers')
            else:
                fixed.append(step)
        if not fixed:
            raise UserError(f'--in-memory: {field}.dataset has no pipeline')
        inner.pipeline = fixed
        pretraining = str(cfg.model.type).endswith('RotationPred')
        cfg[field].dataset = ConfigDict(
            type='mmrot.InMemoryImages',
            dataset=dataset,
            with_samples=not (pretraining and field == 'train_dataloader'),
            **random,
        )
        cfg[field].update(
            num_workers=0,
            persistent_workers=False,
            pin_memory=False,
            collate_fn=dict(type='mmrot.as_is'),
        )


def set_backbone(cfg: Config, checkpoint: str, trust: bool = False) -> None:
    """Hand a checkpoint to the hook that loads the backbone.

    Args:
        cfg (Config): With :class:`mmrot.LoadBackboneHook` among its
            ``default_hooks``, as ``load_backbone``, or among its
            ``custom_hooks``; changed in place.
        checkpoint (str): A file, or ``'random'``.
        trust (bool): Whether to unpickle anything that the file holds.

    Raises:
        UserError: If the config has no such hook.
    """
    for hook in cfg.get('custom_hooks') or []:
        if str(hook['type']).endswith('LoadBackboneHook'):
            hook.update(checkpoint=checkpoint, trust=trust)
            return
    if cfg.get('default_hooks', {}).get('load_backbone') is not None:
        cfg.default_hooks.load_backbone.update(checkpoint=checkpoint, trust=trust)
        return
    raise UserError(
        f'--backbone {checkpoint}: expected a config with mmrot.LoadBackboneHook, one of '
        'configs/benchmarks/'
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


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 on a GPU, bfloat16 on a CPU.

    Args:
        cfg (Config): Changed in place.
    """
    if get_device() == 'cpu':  # mmengine's AmpOptimWrapper refuses it
        cfg.optim_wrapper.type = 'mmrot.BFloat16OptimWrapper'
    else:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Turn on the hook with which the config's host draws predictions.

    Args:
        cfg (Config): Of mmpretrain, mmdet or mmseg; changed in place.
        args (argparse.Namespace): With ``show``, ``show_dir``, ``interval`` and
            ``wait_time``.

    Raises:
        UserError: If the config has no such hook, as those of pretraining.
    """
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise UserError(
            '--show: expected default_hooks.visualization in the config, a hook that draws'
        )
    hook.update(show=args.show, wait_time=args.wait_time, interval=args.interval)
    scope = cfg.get('default_scope')
    hook['enable' if scope == 'mmpretrain' else 'draw'] = True
    if args.show_dir is None:
        return
    if scope == 'mmseg':
        cfg.visualizer.save_dir = args.show_dir
    else:
        hook['out_dir' if scope == 'mmpretrain' else 'test_out_dir'] = args.show_dir


def use_tta(cfg: Config) -> None:
    """Wrap the model and the test pipeline as the config's TTA fields say.

    Args:
        cfg (Config): With ``tta_model`` and ``tta_pipeline``; changed in place.

    Raises:
        UserError: If the config has no such fields.
    """
    for field in ('tta_model', 'tta_pipeline'):
        if field not in cfg:
            raise UserError(f'--tta: expected {field} in the config')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def build_runner(cfg: Config) -> MMEngineRunner:
    """Build the runner that a config asks for, mmrot's by default."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextmanager
def one_line_errors() -> Iterator[list]:
    """Report what keeps a job from starting in one line, with exit status 1.

    At the end of a distributed job that went well, leave its process group.

    Yields:
        list: Append the runner to it: errors after its first iteration keep
        their traceback. So do all with ``MMROT_TRACEBACK=1``.
    """
    runners: list = []
    try:
        yield runners
    except Exception as error:
        if _uses_gloo() and 'by peer' in str(error):
            time.sleep(2)  # the rank that failed first is the one for torchrun to name
        if os.environ.get('MMROT_TRACEBACK') or any(getattr(r, 'ready', True) for r in runners):
            if _uses_gloo():
                traceback.print_exc()
                _end_process(1)
            raise
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
        if len(text) > 600:
            text = text[:600] + ' ...'
        rank = int(os.environ.get('RANK', 0))
        where = f' (rank {rank})' if rank else ''
        message = f'mmrot: error{where}: {text} [MMROT_TRACEBACK=1 shows where]'
        if _uses_gloo():
            print(message, file=sys.stderr)
            _end_process(1)
        sys.exit(message)
    _leave_process_group()


def _leave_process_group() -> None:
    """End a distributed job that went well.

    After an error other ranks may wait in a collective, which this would hang.
    """
    if is_distributed():
        gloo = _uses_gloo()
        torch.distributed.destroy_process_group()
        if gloo:
            _end_process(0)


def _uses_gloo() -> bool:
    return is_distributed() and torch.distributed.get_backend() == 'gloo'


def _end_process(status: int) -> NoReturn:
    """End a process that has used gloo, before the interpreter shuts down.

    A thread of gloo that lets go of a tensor meanwhile aborts it, now and then,
    even behind ``destroy_process_group``, since the wrapped model keeps the threads.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
