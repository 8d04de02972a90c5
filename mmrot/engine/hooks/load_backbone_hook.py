from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrot.engine.distributed import unwrap
from mmrot.errors import UserError, prefix_errors
from mmrot.registry import HOOKS
from mmrot.weights import (
    absorb_bn,
    fold_std,
    fully_convolutional,
    network_config,
    random_rescaled,
    rescale,
)
from mmrot.weights.absorb_bn import check_norm_eps
from mmrot.weights.checkpoint import load_checkpoint, sha256
from mmrot.weights.convert import takes_raw_pixels
from mmrot.weights.images import read_images, sample_paths
from mmrot.weights.state_dict import load_backbone, load_module, split_backbone, state_dict_of

_ORIGIN = 'backbone_origin'
RANDOM, RANDOM_RESCALED = 'random', 'random-rescaled'


@HOOKS.register_module()
class LoadBackboneHook(Hook):
    """Load a pretrained backbone before training, completely or not at all.

    Unlike ``load_from`` and ``init_cfg``, which only log a warning, the hook raises an error if
    the checkpoint does not match. A resumed run keeps the backbone of its own checkpoint.

    Args:
        checkpoint: Pretraining checkpoint or bare backbone, ``'random'`` for a random
            initialisation, or ``'random-rescaled'`` for one that is rescaled. Set by the
            command-line option ``--backbone``.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run code.
        extra_modules: Modules of the pretrained backbone that belong elsewhere in the model,
            such as ``'fc6.fc'`` → ``'roi_head.bbox_head.shared_fcs.0'`` in a detector.
        absorb_bn: Whether to absorb the batch norms of the checkpoint, if it has any, see
            :func:`mmrot.weights.absorb_bn`.
        raw_pixels: Whether the model's images are not divided by the standard deviation of
            pixels, which is then folded into conv1, see :func:`mmrot.weights.fold_std`.
        rescale: Number of training images on which to rescale the weights, see
            :func:`mmrot.weights.rescale`; 0 does not rescale them. ``'random-rescaled'`` is
            :func:`mmrot.weights.random_rescaled`.
        elsewhere: Former name of ``extra_modules``, in configs of mmrot 0.1.0.

    Attributes:
        origin: Name (``file``) and hash (``sha256``) of the checkpoint that the backbone was
            loaded from, which the training's own checkpoints store.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        checkpoint: str | None = None,
        trust: bool = False,
        extra_modules: dict[str, str] | None = None,
        absorb_bn: bool = False,
        raw_pixels: bool = False,
        rescale: int = 0,
        elsewhere: dict[str, str] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.trust = trust
        self.extra_modules = {**(extra_modules or {}), **(elsewhere or {})}
        self.absorb_bn = absorb_bn
        self.raw_pixels = raw_pixels
        self.rescale = rescale
        self.origin: dict[str, str | None] | None = None

    def before_train(self, runner: Runner) -> None:
        """Load the backbone, unless the training was resumed.

        Raises:
            UserError: If no checkpoint is given, or it does not match the model.
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
            print_log('The backbone is randomly initialised', logger='current')
            return
        model = unwrap(runner.model)
        source = f'checkpoint {self.checkpoint}'
        with prefix_errors(source):
            if self.checkpoint == RANDOM_RESCALED:
                state = self._initial_weights(model)
            else:
                state = self._read(self.checkpoint)
            if self.rescale:
                state = self._rescale(state, runner)
            if getattr(model.backbone, 'convolutional', False):
                state = fully_convolutional(state)
            unused = load_backbone(model.backbone, state, source)
            for name, target in self.extra_modules.items():
                unused -= load_module(model.get_submodule(target), state, name, source)
        print_log(
            f'Loaded every key of the backbone from {self.checkpoint}; {unused} keys of later '
            'stages were not used',
            logger='current',
        )

    def _read(self, file: str) -> dict[str, Tensor]:
        """Read the backbone in a checkpoint and absorb its batch norms if requested."""
        checkpoint = load_checkpoint(file, trust=self.trust)
        state, _ = split_backbone(state_dict_of(checkpoint, file))
        if self.absorb_bn and any(key.endswith('running_mean') for key in state):
            check_norm_eps(checkpoint, file)
            state = absorb_bn(state)
            print_log('Absorbed the batch norms of the backbone', logger='current')
        if self.raw_pixels and not takes_raw_pixels(checkpoint):
            state = fold_std(state)
            print_log('Folded the standard deviation of pixels into conv1', logger='current')
        return state

    def _initial_weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the model's own weights under the names of a pretrained backbone."""
        state = dict(model.backbone.state_dict())
        for name, target in self.extra_modules.items():
            module = model.get_submodule(target)
            state.update({f'{name}.{key}': value for key, value in module.state_dict().items()})
        return {key: value.cpu() for key, value in state.items()}

    def _rescale(self, state: dict[str, Tensor], runner: Runner) -> dict[str, Tensor]:
        """Rescale on training images in the main process, and send the result to the others."""
        rescaled = [state]
        if is_main_process():
            paths = sample_paths(runner.train_dataloader.dataset, self.rescale)
            images = read_images(paths, network_config(state)['type'], self.raw_pixels)
            if self.checkpoint == RANDOM_RESCALED:
                rescaled = [random_rescaled(state, images, runner.seed)]
            else:
                rescaled = [rescale(state, images)]
            print_log(f'Rescaled the weights on {len(images)} training images', logger='current')
        broadcast_object_list(rescaled)
        return rescaled[0]

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the origin of the backbone in the checkpoint."""
        checkpoint['meta'][_ORIGIN] = self.origin

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the origin of the backbone when a checkpoint is resumed or tested.

        Raises:
            UserError: If the resumed run started from another backbone.
        """
        self.origin = (checkpoint.get('meta') or {}).get(_ORIGIN)
        if runner._resume and self.origin and self.checkpoint:
            asked = self._origin()
            key = 'sha256' if asked['sha256'] else 'file'
            if asked[key] != self.origin[key]:
                raise UserError(
                    f'--backbone {self.checkpoint}: the training in {runner.work_dir} started '
                    f'from {self.origin["file"]}. Use another --work-dir.'
                )

    def _origin(self) -> dict[str, str | None]:
        file = str(self.checkpoint)
        return dict(file=file, sha256=sha256(file) if Path(file).is_file() else None)
