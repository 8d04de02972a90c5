from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class RotationHead(BaseModule):
    """Pooled features → K logits, trained with cross entropy (eq. 3 of the paper).

    Args:
        in_channels (int): Channels C of the chosen feature map, or the length
            of the chosen feature vector.
        num_classes (int): Number of rotations K. :class:`mmrot.RotationPred`
            passes the size of its angle set.
        in_index (int): Which entry of the backbone's tuple to use.
        init_cfg (dict): Initialisation of the classifier.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 4,
        in_index: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Linear', std=0.01))
        self.in_channels = in_channels
        self.in_index = in_index
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify.

        Args:
            feats (Sequence[Tensor]): The backbone's outputs; the chosen one is
                a map (B, C, H, W), averaged over its positions, or a vector
                (B, C), with B = N·K.

        Returns:
            Tensor: Logits (B, K).

        Raises:
            TypeError: If the backbone did not return a tuple.
            UserError: If the chosen output does not exist, is neither map nor
                vector, or has other than ``in_channels`` channels.
        """
        if not isinstance(feats, Sequence):
            raise TypeError(
                f'features of type {type(feats).__name__}: expected a tuple of tensors'
            )
        if not -len(feats) <= self.in_index < len(feats):
            raise UserError(
                f'in_index={self.in_index}: expected an index into the {len(feats)} outputs of '
                'the backbone'
            )
        feat = feats[self.in_index]
        if feat.ndim not in (2, 4) or feat.shape[1] != self.in_channels:
            raise UserError(
                f'feature {self.in_index} of shape {tuple(feat.shape)}: expected '
                f'in_channels={self.in_channels}, as (B, C, H, W) or (B, C)'
            )
        if feat.ndim == 4:
            feat = feat.mean((2, 3))  # (B, C)
        return self.fc(feat)  # (B, K)

    def loss(self, feats: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Give the loss and the accuracy on the batch.

        Args:
            feats (Sequence[Tensor]): See :meth:`forward`.
            labels (Tensor): (B,) int64 in [0, K).

        Returns:
            dict[str, Tensor]: ``loss``, and ``accuracy`` in percent.
        """
        logits = self(feats)  # (B, K)
        accuracy = (logits.detach().argmax(1) == labels).float().mean() * 100
        # autocast on a CPU would leave the loss in bfloat16
        return {'loss': F.cross_entropy(logits.float(), labels), 'accuracy': accuracy}
