from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrot.engine.distributed import unwrap
from mmrot.errors import UserError, first_few
from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Check that both datasets and the head agree on the classes.

    Otherwise a detector silently learns an extra class as background, and confuses classes that
    are in a different order.

    Args:
        head: Name of the submodule that has ``num_classes``.
    """

    def __init__(self, head: str) -> None:
        self.head = head

    def before_train(self, runner: Runner) -> None:
        """Compare the classes.

        Raises:
            UserError: If the classes differ; the message names them.
        """
        classes = tuple(runner.train_dataloader.dataset.metainfo['classes'])
        if runner.val_loop is not None:
            val_classes = tuple(runner.val_loop.dataloader.dataset.metainfo['classes'])
            if val_classes != classes:
                raise UserError(
                    f'the classes of the training data are {first_few(classes)}, those of the '
                    f'validation data {first_few(val_classes)}. Set metainfo.classes to the same '
                    'names in the same order.'
                )
        num_classes = unwrap(runner.model).get_submodule(self.head).num_classes
        if num_classes != len(classes):
            raise UserError(
                f'model.{self.head}.num_classes={num_classes}, but the data has {len(classes)} '
                f'classes: {first_few(classes)}.'
            )
