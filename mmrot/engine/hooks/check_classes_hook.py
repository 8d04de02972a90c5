from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmrot.errors import UserError
from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Refuse data sets whose classes are not those of each other and of the head.

    Of a detector a class too many is taken for background, and another order is
    taken for other classes.

    Args:
        head (str): Where the model has the head that has ``num_classes``.
    """

    def __init__(self, head: str) -> None:
        self.head = head

    def before_train(self, runner: Runner) -> None:
        """Compare the classes.

        Raises:
            UserError: If they differ; names them.
        """
        classes = tuple(runner.train_dataloader.dataset.metainfo['classes'])
        if runner.val_loop is not None:
            tested = tuple(runner.val_loop.dataloader.dataset.metainfo['classes'])
            if tested != classes:
                raise UserError(
                    f'training data of the classes {_few(classes)}, validation data of '
                    f'{_few(tested)}: expected the same, in one order (metainfo.classes)'
                )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        count = model.get_submodule(self.head).num_classes
        if count != len(classes):
            raise UserError(
                f'model.{self.head}.num_classes={count}: expected {len(classes)}, the classes '
                f'{_few(classes)}'
            )


def _few(classes: tuple[str, ...]) -> str:
    return ', '.join(classes[:5]) + ', ...' * (len(classes) > 5)
