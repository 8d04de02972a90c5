from pathlib import Path

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrot.checkpoint import load_checkpoint, sha256, split_backbone, state_dict_of
from mmrot.registry import HOOKS

_ORIGIN = 'backbone_origin'


def load_backbone(backbone: nn.Module, state_dict: dict[str, Tensor], source: str) -> int:
    """Load a backbone of which every key must be found.

    Args:
        backbone (nn.Module): Loaded in place.
        state_dict (dict[str, Tensor]): Of a whole pretraining model, whose keys
            begin with ``backbone.``, or of a bare backbone.
        source (str): Where it comes from, for the errors.

    Returns:
        int: How many keys of the source's backbone were left over: those of
        stages that this backbone does not build.

    Raises:
        ValueError: If a key is missing, has another shape or values that are not
            finite, or what is left over is no whole stage; lists the keys.
    """
    state_dict, _ = split_backbone(state_dict)
    wanted = backbone.state_dict()
    missing = [key for key in wanted if key not in state_dict]
    if missing:
        raise ValueError(
            f'{source} lacks {len(missing)} of the {len(wanted)} keys of the backbone '
            f'{type(backbone).__name__}: {_few(missing)}; it has {_few(list(state_dict), 3)}'
        )
    misfits = [
        f'{key} has {tuple(state_dict[key].shape)}, expected {tuple(value.shape)}'
        for key, value in wanted.items()
        if state_dict[key].shape != value.shape
    ]
    if misfits:
        raise ValueError(
            f'{source} does not fit the backbone {type(backbone).__name__}, {len(misfits)} of '
            f'{len(wanted)} keys: {_few(misfits)}'
        )
    left = [key for key in state_dict if key not in wanted]
    # a whole stage that is not built here may be left over, part of one may not
    built = {key.partition('.')[0] for key in wanted}
    stages = getattr(backbone, 'all_stages', None)
    odd = [
        key
        for key in left
        if (stage := key.partition('.')[0]) in built or (stages and stage not in stages)
    ]
    if odd:
        raise ValueError(
            f'{source} is of another network than the backbone {type(backbone).__name__}, which '
            f'has no place for {len(odd)} keys: {_few(odd)}'
            + ('; tools/convert.py absorb-bn?' if all('.bn.' in key for key in odd) else '')
        )
    not_finite = [key for key in wanted if not state_dict[key].isfinite().all()]
    if not_finite:
        raise ValueError(f'{source} holds values that are not finite: {_few(not_finite)}')
    backbone.load_state_dict({key: state_dict[key] for key in wanted})
    return len(left)


def load_module(module: nn.Module, state_dict: dict[str, Tensor], name: str, source: str) -> int:
    """Load one module of a pretrained backbone, completely.

    Args:
        module (nn.Module): Loaded in place.
        state_dict (dict[str, Tensor]): As in :func:`load_backbone`.
        name (str): What the module is called in the backbone, such as ``'fc6.fc'``.
        source (str): Where it comes from, for the errors.

    Returns:
        int: How many keys it has.

    Raises:
        ValueError: If a key is missing, misfits or has no place; lists them.
    """
    backbone, _ = split_backbone(state_dict)
    prefix = f'{name}.'
    found = {k.removeprefix(prefix): v for k, v in backbone.items() if k.startswith(prefix)}
    wanted = module.state_dict()
    problems = [f'{prefix}{key} is missing' for key in wanted if key not in found]
    problems += [f'{prefix}{key} has no place' for key in found if key not in wanted]
    problems += [
        f'{prefix}{key} has {tuple(found[key].shape)}, expected {tuple(value.shape)}'
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]
    if problems:
        raise ValueError(f'{source}, {name}: {_few(problems)}')
    module.load_state_dict(found)
    return len(found)


def _few(items: list[str], most: int = 5) -> str:
    return '; '.join(items[:most]) + (f'; and {len(items) - most} more' * (len(items) > most))


@HOOKS.register_module()
class LoadBackboneHook(Hook):
    """Load a pretrained backbone before training, completely or not at all.

    What mmengine's ``load_from`` and ``init_cfg`` only warn about is an error
    here. A training that was resumed keeps the backbone of its own checkpoint.

    Args:
        checkpoint (str, optional): A checkpoint of pretraining as it is, or a
            bare backbone; ``'random'`` asks for random initialisation by name.
            ``--backbone`` of the tools fills it.
        trust (bool): Whether to unpickle anything that the file holds. A file
            can run any code then.
        elsewhere (dict[str, str], optional): Modules of the pretrained backbone
            that go to another place in the model, such as ``'fc6.fc'`` →
            ``'roi_head.bbox_head.shared_fcs.0'`` in a detector.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        checkpoint: str | None = None,
        trust: bool = False,
        elsewhere: dict[str, str] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.trust = trust
        self.elsewhere = elsewhere or {}
        # where the backbone comes from: name of the file, and its hash
        self.origin: dict[str, str | None] | None = None

    def before_train(self, runner: Runner) -> None:
        """Load, unless the training was resumed.

        Raises:
            ValueError: If no checkpoint is given, or it does not fit.
        """
        if runner.iter > 0:
            return
        if not self.checkpoint:
            raise ValueError("--backbone: expected a file, or 'random' for random initialisation")
        self.origin = self._origin()
        if self.checkpoint == 'random':
            print_log('The backbone keeps its random initialisation', logger='current')
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        checkpoint = load_checkpoint(self.checkpoint, trust=self.trust)
        state = state_dict_of(checkpoint, self.checkpoint)
        left = load_backbone(model.backbone, state, f'checkpoint {self.checkpoint}')
        for source, target in self.elsewhere.items():
            left -= load_module(
                model.get_submodule(target), state, source, f'checkpoint {self.checkpoint}'
            )
        print_log(
            f'Loaded every key of the backbone from {self.checkpoint}; {left} keys of stages '
            'behind it were left over',
            logger='current',
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note where the backbone comes from."""
        checkpoint['meta'][_ORIGIN] = self.origin

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Learn where the backbone of a resumed or tested checkpoint comes from.

        Raises:
            ValueError: If a training is resumed that began from another one than
                the one that is asked for.
        """
        self.origin = (checkpoint.get('meta') or {}).get(_ORIGIN)
        if runner._resume and self.origin and self.checkpoint:
            asked = self._origin()
            if asked['sha256'] != self.origin['sha256']:
                raise ValueError(
                    f'--backbone {self.checkpoint}: the training in {runner.work_dir} began from '
                    f'{self.origin["file"]}; expected another --work-dir'
                )

    def _origin(self) -> dict[str, str | None]:
        file = str(self.checkpoint)
        return dict(file=file, sha256=sha256(file) if Path(file).is_file() else None)
