#!/usr/bin/env python
"""Train a model of mmrot, mmpretrain, mmdet or mmseg from a config."""

from mmrot.cli import build_parser, build_runner, load_config, one_line_errors, use_amp
from mmrot.errors import UserError
from mmrot.weights.checkpoint import mmengine_loads_with


def main() -> None:
    parser = build_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or without a value from the latest one in the work dir',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not validate')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate from the config's total batch size of images to the actual",
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='turn off persistent_workers in the dataloaders',
    )
    with one_line_errors() as runners:
        args = parser.parse_args()
        cfg = load_config(args)
        if args.no_validate:
            cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        if args.amp:
            use_amp(cfg)
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = None if args.resume == 'auto' else args.resume
        if args.auto_scale_lr:
            if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
                raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
            cfg.auto_scale_lr.enable = True
        with mmengine_loads_with(args.trust):
            runners.append(build_runner(cfg))
            runners[0].train()


if __name__ == '__main__':
    main()
