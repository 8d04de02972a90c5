from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class RotationHead(BaseModule):
    """Linear rotation classifier on pooled features (eq. 3 of the paper).

    Args:
        in_channels: Channels C of the feature map, or length of the feature
            vector.
        num_classes: Number of rotations K. :class:`mmrot.RotationPred` passes
            the size of its angle set.
        in_index: Index into the backbone's tuple of outputs.
        init_cfg: Initialisation of the classifier; N(0, 0.01²) by default, None for
            PyTorch's.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 4,
        in_index: int = -1,
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.01),
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.in_index = in_index
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Compute the logits of the K rotations.

        Args:
            feats: Outputs of the backbone. The one at ``in_index`` is a map
                (B, C, H, W), which is averaged over its positions, or a vector
                (B, C), with B = N·K.

        Returns:
            Logits (B, K).

        Raises:
            TypeError: If the backbone did not return a tuple.
            UserError: If there is no output at ``in_index`` or its shape is wrong.
        """
        if not isinstance(feats, Sequence):
            raise TypeError(
                f'the backbone returned a {type(feats).__name__} instead of a tuple of tensors.'
            )
        if not -len(feats) <= self.in_index < len(feats):
            raise UserError(
                f'in_index={self.in_index} is out of range for the {len(feats)} outputs of the '
                'backbone.'
            )
        feat = feats[self.in_index]
        if feat.ndim not in (2, 4) or feat.shape[1] != self.in_channels:
            raise UserError(
                f'output {self.in_index} of the backbone has shape {tuple(feat.shape)}. Expected '
                f'(B, C, H, W) or (B, C) with C=in_channels={self.in_channels}.'
            )
        if feat.ndim == 4:
            feat = feat.mean((2, 3))  # (B, C)
        return self.fc(feat)  # (B, K)

    def loss(self, feats: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy loss and the accuracy on the batch.

        Args:
            feats: Outputs of the backbone, see :meth:`forward`.
            labels: (B,) int64 in [0, K).

        Returns:
            ``loss``, and ``accuracy`` in percent.
        """
        logits = self(feats)  # (B, K)
        accuracy = (logits.detach().argmax(1) == labels).float().mean() * 100
        # autocast on a CPU would leave the loss in bfloat16
        return {'loss': F.cross_entropy(logits.float(), labels), 'accuracy': accuracy}
