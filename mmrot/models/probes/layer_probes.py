from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class LayerProbes(BaseModule):
    """One classifier for each stage of a backbone, trained together.

    A head for mmpretrain's ``ImageClassifier``: one forward pass of the backbone
    serves all probes (Tables 1, 4, 5 and 6 of the paper). The probes share
    nothing, so each learns what it would learn alone. Freezing is the
    backbone's own ``frozen_stages``.

    Args:
        probes (dict[str, dict]): Name of the stage → config of its probe, in the
            order of the backbone's outputs. The names are the ones under which
            losses and accuracies are reported.
        num_classes (int): Number of classes, handed to every probe.
        init_cfg (dict, optional): Initialisation.
    """

    def __init__(
        self, probes: dict[str, dict], num_classes: int, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.probes = nn.ModuleDict(
            {
                name: MODELS.build({**probe, 'num_classes': num_classes})
                for name, probe in probes.items()
            }
        )

    def forward(self, feats: Sequence[Tensor]) -> dict[str, Tensor]:
        """Classify every stage.

        Args:
            feats (Sequence[Tensor]): One output of the backbone per probe.

        Returns:
            dict[str, Tensor]: Name of the stage → logits (N, num_classes).

        Raises:
            UserError: If there are more or fewer outputs than probes.
        """
        if len(feats) != len(self.probes):
            raise UserError(
                f'the backbone gives {len(feats)} outputs: expected {len(self.probes)}, one for '
                f'each probe of {", ".join(self.probes)}; set its out_indices'
            )
        return {
            name: probe(feat)
            for (name, probe), feat in zip(self.probes.items(), feats, strict=True)
        }

    def loss(
        self, feats: Sequence[Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, Tensor]:
        """Give each probe's loss and its accuracy on the batch.

        Args:
            feats (Sequence[Tensor]): One output of the backbone per probe.
            data_samples (list[DataSample]): N samples with ``gt_label``.
            **kwargs: Nothing that is used; ``ImageClassifier`` may pass some.

        Returns:
            dict[str, Tensor]: ``<stage>.loss`` and ``<stage>.accuracy``, the
            latter in percent. mmengine trains on the sum of the losses.
        """
        target = torch.cat([sample.gt_label for sample in data_samples])  # (N,)
        losses = {}
        for name, logits in self(feats).items():
            accuracy = (logits.detach().argmax(1) == target).float().mean() * 100
            losses[f'{name}.loss'] = F.cross_entropy(logits.float(), target)  # not bfloat16
            losses[f'{name}.accuracy'] = accuracy
        return losses

    def predict(
        self, feats: Sequence[Tensor], data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Predict with every probe.

        Args:
            feats (Sequence[Tensor]): One output of the backbone per probe.
            data_samples (list[DataSample], optional): N samples.
            **kwargs: Nothing that is used; ``ImageClassifier`` may pass some.

        Returns:
            list[DataSample]: N samples, with ``layer_scores``, a dict of the
            probabilities (num_classes,) that each stage's probe gives.
        """
        scores = {name: logits.float().softmax(1) for name, logits in self(feats).items()}
        if data_samples is None:
            data_samples = [DataSample() for _ in feats[0]]
        for index, sample in enumerate(data_samples):
            layer_scores = {name: score[index] for name, score in scores.items()}
            sample.set_field(layer_scores, 'layer_scores')
        return data_samples
