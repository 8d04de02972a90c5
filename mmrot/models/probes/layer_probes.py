from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleDict
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class LayerProbes(BaseModule):
    """One classifier for each stage of a backbone, trained together.

    A head for mmpretrain's ``ImageClassifier``: all probes share one forward pass of
    the backbone (Tables 1, 4, 5 and 6 of the paper) but no parameters, so each is
    trained as it would be alone. The backbone is frozen by its own ``frozen_stages``.

    Args:
        probes: Probe configs by name of the stage, in the order of the backbone's
            outputs. Losses and accuracies are reported under these names.
        num_classes: Number of classes, passed to every probe.
        init_num_classes: Number of classes C that sets the scale of the classifiers'
            initial weights, N(0, 2 / C), unless a probe has an ``init_cfg`` or no layer
            ``fc``. By default, C is ``num_classes``, as in the authors' code; with few
            classes, the initial logits are then so large that a short training does not
            undo them.
        init_cfg: Initialisation.
    """

    def __init__(
        self,
        probes: dict[str, dict],
        num_classes: int,
        init_num_classes: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        # PyTorch's ModuleDict would hide the probes from init_weights
        self.probes = ModuleDict(
            {
                name: MODELS.build({**probe, 'num_classes': num_classes})
                for name, probe in probes.items()
            }
        )
        self.init_num_classes = init_num_classes
        self.with_default_init = [name for name in probes if 'init_cfg' not in probes[name]]

    def init_weights(self) -> None:
        """Initialise the probes, with classifiers at the scale of ``init_num_classes``."""
        super().init_weights()
        if self.init_num_classes is not None:
            for name in self.with_default_init:
                if isinstance(classifier := getattr(self.probes[name], 'fc', None), nn.Linear):
                    nn.init.normal_(classifier.weight, std=(2 / self.init_num_classes) ** 0.5)

    def forward(self, feats: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the logits of every probe.

        Args:
            feats: One output of the backbone per probe.

        Returns:
            Logits (N, num_classes) by name of the stage.

        Raises:
            UserError: If there are more or fewer outputs than probes.
        """
        if len(feats) != len(self.probes):
            raise UserError(
                f'the backbone returned {len(feats)} outputs for {len(self.probes)} probes '
                f'({", ".join(self.probes)}). Set its out_indices.'
            )
        return {
            name: probe(feat)
            for (name, probe), feat in zip(self.probes.items(), feats, strict=True)
        }

    def loss(
        self, feats: Sequence[Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, Tensor]:
        """Compute the loss of each probe and its accuracy on the batch.

        Args:
            feats: One output of the backbone per probe.
            data_samples: N samples with ``gt_label``.
            **kwargs: Not used; for compatibility with ``ImageClassifier``.

        Returns:
            ``<stage>.loss``, and ``<stage>.accuracy`` in percent. mmengine
            minimises the sum of the losses.
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
        """Predict class probabilities with every probe.

        Args:
            feats: One output of the backbone per probe.
            data_samples: N samples; new ones by default.
            **kwargs: Not used; for compatibility with ``ImageClassifier``.

        Returns:
            N samples with ``layer_scores``, the probabilities (num_classes,) by
            name of the stage.
        """
        scores = {name: logits.float().softmax(1) for name, logits in self(feats).items()}
        if data_samples is None:
            data_samples = [DataSample() for _ in feats[0]]
        for index, sample in enumerate(data_samples):
            layer_scores = {name: score[index] for name, score in scores.items()}
            sample.set_field(layer_scores, 'layer_scores')
        return data_samples
