from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrot.checkpoint import load_checkpoint, sha256, split_backbone, state_dict_of
from mmrot.converters import absorb_bn, fully_convolutional, network_config, rescale
from mmrot.converters.absorb_bn import norm_eps
from mmrot.converters.images import read_images
from mmrot.registry import HOOKS

_ORIGIN = 'backbone_origin'
RANDOM, RANDOM_RESCALED = 'random', 'random-rescaled'


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
            bare backbone; ``'random'`` asks for random initialisation by name,
            ``'random-rescaled'`` for the same, rescaled. ``--backbone`` of the
            tools fills it.
        trust (bool): Whether to unpickle anything that the file holds. A file
            can run any code then.
        elsewhere (dict[str, str], optional): Modules of the pretrained backbone
            that go to another place in the model, such as ``'fc6.fc'`` →
            ``'roi_head.bbox_head.shared_fcs.0'`` in a detector.
        absorb_bn (bool): Whether to absorb the batch norms of a checkpoint that
            has some, see :func:`mmrot.converters.absorb_bn`.
        rescale (int): How many of the training images to rescale the weights on,
            see :func:`mmrot.converters.rescale`; 0 leaves them as they are.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        checkpoint: str | None = None,
        trust: bool = False,
        elsewhere: dict[str, str] | None = None,
        absorb_bn: bool = False,
        rescale: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.trust = trust
        self.elsewhere = elsewhere or {}
        self.absorb_bn = absorb_bn
        self.rescale = rescale
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
        if self.checkpoint == RANDOM_RESCALED and not self.rescale:
            raise ValueError(
                f"--backbone {RANDOM_RESCALED}: this config does not rescale, expected '{RANDOM}'"
            )
        self.origin = self._origin()
        if self.checkpoint == RANDOM:
            print_log('The backbone keeps its random initialisation', logger='current')
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        source = f'checkpoint {self.checkpoint}'
        state = (
            self._initial(model)
            if self.checkpoint == RANDOM_RESCALED
            else self._read(self.checkpoint)
        )
        try:
            if self.rescale:
                state = self._rescale(state, runner)
            if getattr(model.backbone, 'convolutional', False):
                state = fully_convolutional(state)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'{source}: {error}') from error
        left = load_backbone(model.backbone, state, source)
        for name, target in self.elsewhere.items():
            left -= load_module(model.get_submodule(target), state, name, source)
        print_log(
            f'Loaded every key of the backbone from {self.checkpoint}; {left} keys of stages '
            'behind it were left over',
            logger='current',
        )

    def _read(self, file: str) -> dict[str, Tensor]:
        """Read the checkpoint's backbone, without batch norm if that is asked for."""
        checkpoint = load_checkpoint(file, trust=self.trust)
        state, _ = split_backbone(state_dict_of(checkpoint, file))
        if self.absorb_bn and any(key.endswith('running_mean') for key in state):
            state = absorb_bn(state, norm_eps(checkpoint, file))
            print_log('Absorbed the batch norms of the backbone', logger='current')
        return state

    def _initial(self, model: nn.Module) -> dict[str, Tensor]:
        """Give the model's own weights the names that a pretrained backbone has."""
        state = dict(model.backbone.state_dict())
        for name, target in self.elsewhere.items():
            module = model.get_submodule(target)
            state.update({f'{name}.{key}': value for key, value in module.state_dict().items()})
        return {key: value.cpu() for key, value in state.items()}

    def _rescale(self, state: dict[str, Tensor], runner: Runner) -> dict[str, Tensor]:
        """Rescale on images of the training data, once for all processes."""
        rescaled = [state]
        if is_main_process():
            dataset = runner.train_dataloader.dataset
            paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
            images = read_images(paths, network_config(state)['type'], self.rescale)
            rescaled = [rescale(state, images)]
            print_log(f'Rescaled the weights on {len(images)} training images', logger='current')
        broadcast_object_list(rescaled)
        return rescaled[0]

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
            key = 'sha256' if asked['sha256'] else 'file'
            if asked[key] != self.origin[key]:
                raise ValueError(
                    f'--backbone {self.checkpoint}: the training in {runner.work_dir} began from '
                    f'{self.origin["file"]}; expected another --work-dir'
                )

    def _origin(self) -> dict[str, str | None]:
        file = str(self.checkpoint)
        return dict(file=file, sha256=sha256(file) if Path(file).is_file() else None)
