from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.models.backbones.alexnet import AlexNet, alexnet_stage
from mmrot.registry import MODELS


@MODELS.register_module()
class AlexNetProbe(BaseModule):
    """The layers of AlexNet after a frozen stage, and a linear classifier (Table 4).

    The protocol of Noroozi and Favaro (2016), with batch norm and without
    dropout: after conv4, for example, conv5, fc6, fc7 and the classifier are
    trained.

    Args:
        after: Frozen stage, ``'conv1'`` to ``'fc6'``.
        num_classes: Number of classes.
        init_cfg: Initialisation; weights from N(0, 2 / fan-out) and biases 0, as in
            the released code, by default.
        behind: Name of ``after`` in configs of mmrot 0.1.0.

    Raises:
        UserError: If AlexNet has no such stage or no layers after it.
    """

    def __init__(
        self,
        after: str | None = None,
        *,
        num_classes: int,
        init_cfg: dict | None = dict(type='Kaiming', layer=['Conv2d', 'Linear']),
        behind: str | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if after is None:
            after = behind
        if after not in AlexNet.STAGES[:-1]:
            raise UserError(f'after={after!r} is not one of {", ".join(AlexNet.STAGES[:-1])}.')
        self.stages = AlexNet.STAGES[AlexNet.STAGES.index(after) + 1 :]
        for name in self.stages:
            self.add_module(name, alexnet_stage(name, dict(type='BN')))
        self.fc = nn.Linear(4096, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, num_classes) from the output of the stage."""
        for name in self.stages:
            if name == 'fc6':
                x = x.flatten(1)  # (N, 9216)
            x = getattr(self, name)(x)
        return self.fc(x)
