"""Train a model of mmrot, mmpretrain, mmdet or mmseg from a config."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmrot.apis import with_amp, with_vis_backends
from mmrot.apis.config_changes import MONITORS
from mmrot.engine.distributed import end_process, uses_gloo
from mmrot.engine.resume import list_checkpoints
from mmrot.errors import UserError
from mmrot.weights.checkpoint import safe_checkpoint_loading

from .config import build_runner, load_config
from .errors import report_errors
from .launch import launch
from .parser import gpus_option, job_parser, positive


def train_options() -> argparse.ArgumentParser:
    """Return a parent parser with the options of training."""
    parser = argparse.ArgumentParser(add_help=False, parents=[gpus_option()])
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='FILE',
        help='resume from this checkpoint, or without a value from the latest one in the work dir',
    )
    parser.add_argument(
        '--load-from',
        metavar='FILE',
        help='start anew from the weights of this checkpoint, without the state of its optimizer, '
        'its schedulers and its iteration',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='train in a work dir that contains another run; files of the same name are replaced',
    )
    parser.add_argument(
        '--vis',
        action='append',
        choices=['tensorboard', 'wandb'],
        help='also log to TensorBoard or Weights & Biases; may be repeated',
    )
    parser.add_argument(
        '--cache-images',
        metavar='DIR',
        help='write the decoded images to DIR in the first epoch and read them from there later; '
        'in /dev/shm they are in memory',
    )
    parser.add_argument(
        '--cache-short-side',
        type=positive,
        metavar='PIXELS',
        help='short side to which larger images are reduced before random resized crops; by '
        'default the smallest one for which caching enlarges no crop',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not validate')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the ratio of the actual to the config's total batch size",
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='turn off persistent_workers in the dataloaders',
    )
    parser.add_argument(
        '--amp-dtype',
        choices=['bfloat16', 'float16'],
        help='type of mixed precision, implies --amp (default: bfloat16 if the device has it)',
    )
    return parser


def train(args: argparse.Namespace) -> None:
    """Train a model as specified by the arguments.

    Args:
        args: Arguments of a parser with :func:`train_options`.

    Raises:
        UserError: If an option does not apply to the config.
    """
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp or args.amp_dtype:
        cfg = with_amp(cfg, args.amp_dtype)
    if args.vis:
        cfg = with_vis_backends(cfg, args.vis)
    if args.load_from is not None:
        if args.resume is not None or args.backbone is not None:
            raise UserError('--load-from excludes --resume and --backbone.')
        cfg.load_from = args.load_from
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.overwrite:
        cfg.overwrite = True
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size.')
        cfg.auto_scale_lr.enable = True
    with safe_checkpoint_loading(args.trust):
        runner = build_runner(cfg)
        try:
            runner.train()
        except KeyboardInterrupt:
            _report_interrupt(runner)


def _report_interrupt(runner: Runner) -> None:
    """Print how to resume, in three lines, and exit with the status of an interrupt."""
    if is_main_process():
        last = next(iter(list_checkpoints(runner.work_dir)), None)
        command = [arg for arg in sys.argv if arg not in ('--resume', '--overwrite')]
        print(
            f'mmrot: interrupted after {runner.iter} iterations.',
            f'Last checkpoint: {last}.' if last else 'There is no checkpoint yet.',
            f'To resume: {shlex.join([*command, "--resume"])}'
            if last
            else f'To start anew: {shlex.join(sys.argv)}',
            sep='\n',
            file=sys.stderr,
        )
    if uses_gloo():
        end_process(130)
    sys.exit(130)


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot train``."""
    parser = job_parser('train', __doc__, train_options())
    parser.add_argument(
        '--monitor',
        action='append',
        choices=[*MONITORS],
        help='evaluate the features of the backbone before the first iteration and at each '
        'validation: their effective rank, which needs no labels, or the accuracy of kNN or of a '
        'linear classifier on the data of the config or of --labelled-folder; can be repeated',
    )
    args = parser.parse_args(argv)
    with report_errors():
        if not launch(args, 'train', argv):
            train(args)
