from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import HOOKS
from mmrot.weights import absorb_bn, fully_convolutional, network_config, rescale
from mmrot.weights.absorb_bn import norm_eps
from mmrot.weights.checkpoint import load_checkpoint, sha256
from mmrot.weights.images import read_images
from mmrot.weights.state_dict import load_backbone, load_module, split_backbone, state_dict_of

_ORIGIN = 'backbone_origin'
RANDOM, RANDOM_RESCALED = 'random', 'random-rescaled'


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
            has some, see :func:`mmrot.weights.absorb_bn`.
        rescale (int): How many of the training images to rescale the weights on,
            see :func:`mmrot.weights.rescale`; 0 leaves them as they are.
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
            UserError: If no checkpoint is given, or it does not fit.
        """
        if runner.iter > 0:
            return
        if not self.checkpoint:
            raise UserError("--backbone: expected a file, or 'random' for random initialisation")
        if self.checkpoint == RANDOM_RESCALED and not self.rescale:
            raise UserError(
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
            raise UserError(f'{source}: {error}') from error
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
            UserError: If a training is resumed that began from another one than
                the one that is asked for.
        """
        self.origin = (checkpoint.get('meta') or {}).get(_ORIGIN)
        if runner._resume and self.origin and self.checkpoint:
            asked = self._origin()
            key = 'sha256' if asked['sha256'] else 'file'
            if asked[key] != self.origin[key]:
                raise UserError(
                    f'--backbone {self.checkpoint}: the training in {runner.work_dir} began from '
                    f'{self.origin["file"]}; expected another --work-dir'
                )

    def _origin(self) -> dict[str, str | None]:
        file = str(self.checkpoint)
        return dict(file=file, sha256=sha256(file) if Path(file).is_file() else None)
