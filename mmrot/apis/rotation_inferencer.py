import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mmcv.transforms
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.registry import TRANSFORMS, DefaultScope
from torch import Tensor

from mmrot.datasets.transforms import LoadImage, RotatedCopies
from mmrot.errors import UserError
from mmrot.models import RotationPred
from mmrot.weights.checkpoint_config import inference_pipeline

from .models import get_model
from .photos import Photo, list_photos, read_photo


class RotationInferencer(BaseInferencer):
    """Predict the rotation angle of photos.

    Photos are read by :func:`mmrot.apis.photos.read_photo` and passed through the test pipeline
    of the config, which resizes and crops them.

    Args:
        config: Pretraining config or its path, a name from ``mmrot.list_models`` or
            ``mmrot.list_configs``, a model from :func:`mmrot.get_model`, or None for the config
            in the checkpoint.
        checkpoint: Pretraining checkpoint. Required unless a model is given.
        device: Device, such as ``'cuda:0'``. Defaults to the GPU if there is one.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run code.
        show_progress: Whether to show a progress bar.

    Raises:
        UserError: If the config is not a pretraining config, or the checkpoint does not match it.

    Example:
        >>> import mmrot, numpy as np
        >>> model = mmrot.get_model('rotnet_nin4_digits')  # not trained
        >>> inferencer = mmrot.RotationInferencer(model, show_progress=False)
        >>> [result] = inferencer(np.zeros((60, 40, 3), np.uint8))
        >>> result['angle'] in (0, 90, 180, 270)
        True
    """

    preprocess_kwargs = {'average'}

    def __init__(
        self,
        config: str | Path | Config | RotationPred | None = None,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        trust: bool = False,
        show_progress: bool = True,
    ) -> None:
        if isinstance(config, RotationPred):
            if checkpoint is not None:
                raise UserError(f'checkpoint {checkpoint}: the model already has weights.')
            device = device or str(next(config.parameters()).device)
            self.model = config.to(device).eval()
        elif checkpoint is None:
            raise UserError('expected a checkpoint.')
        else:
            device = device or get_device()
            self.model = get_model(config, checkpoint, device, trust)
            if not isinstance(self.model, RotationPred):
                raise UserError(
                    f'the config builds a {type(self.model).__name__}, expected a pretraining '
                    'config, whose model is an mmrot.RotationPred.'
                )
        super().__init__(
            self.model._config, device=device, scope='mmrot', show_progress=show_progress
        )

    def __call__(
        self, inputs: Photo | Sequence[Photo], batch_size: int = 1, average: bool = False
    ) -> list[dict[str, Any]]:
        """Predict the rotation angle of photos.

        Args:
            inputs: A photo, a folder, or a list of them, see
                :func:`mmrot.apis.photos.list_photos`.
            batch_size: Number of photos per forward pass.
            average: Whether to average the predictions for the photo rotated by 0°, 90°, 180° and
                270°, each shifted back by its angle. A photo and its rotated copies then get the
                same probabilities, up to the shift and rounding. Takes four times as long.

        Returns:
            One dict per photo, in the order of the inputs:

            - ``input``: path, or the index of the photo for other types;
            - ``angle``: most probable angle in degrees counter-clockwise; rotating the photo
              clockwise by it turns it upright;
            - ``probabilities``: dict from angle to probability;
            - ``confidence``: the largest probability;
            - ``error``: None, or why the photo could not be read, in which case the other values
              are None.

        Raises:
            UserError: If a folder has no files, or ``average`` is not supported for the angle
                set of the model.
            TypeError: If an input is not a photo.
        """
        return super().__call__(inputs, batch_size=batch_size, average=average)

    def preprocess(
        self, inputs: list[Photo], batch_size: int = 1, average: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """Read photos and apply the test pipeline.

        Yields:
            Batches of photos: ``input``, and ``error`` or ``views``, which maps the angle by which
            the photo was rotated to the result of the pipeline (C, H, W).
        """
        angles = self._shifts() if average else [0]
        photos = (self._read(index, photo, angles) for index, photo in enumerate(inputs))
        yield from self._get_chunk_data(photos, batch_size)

    @torch.no_grad()
    def forward(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predict one batch, with one forward pass per image shape."""
        groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for index, photo in enumerate(inputs):
            for shift, view in photo.get('views', {}).items():
                groups.setdefault(tuple(view.shape), []).append((index, shift))
        sums: dict[int, Any] = {}
        for members in groups.values():
            images = torch.stack([inputs[index]['views'][shift] for index, shift in members])
            scores = self.model.predict_rotation(images).double().cpu()  # (N, K)
            for (index, shift), score in zip(members, scores, strict=True):
                sums[index] = sums.get(index, 0) + score[self._shifted(shift)]
        return [
            self._result(photo, sums[index] / len(photo['views']) if index in sums else None)
            for index, photo in enumerate(inputs)
        ]

    def visualize(self, inputs: list, preds: Any, show: bool = False, **kwargs) -> list:
        """Draw nothing."""
        return []

    def postprocess(
        self, preds: list, visualization: list, return_datasample: bool = False, **kwargs
    ) -> Any:
        """Return the predictions as they are."""
        return preds

    def _shifts(self) -> list[int]:
        """Return the quarter turns that map the angle set onto itself."""
        angles = set(self.model.angles)
        shifts = [s for s in (0, 90, 180, 270) if {(a + s) % 360 for a in angles} == angles]
        if len(shifts) == 1:
            raise UserError(
                f'average: no rotation maps the angles {self.model.angles} of the model onto '
                'themselves.'
            )
        return shifts

    def _shifted(self, shift: int) -> list[int]:
        """Return the label of each angle after a rotation by ``shift``."""
        angles = self.model.angles
        return [
            angles.index((angle + shift) % 360) if shift else k for k, angle in enumerate(angles)
        ]

    def _read(self, index: int, photo: Photo, shifts: Sequence[int]) -> dict[str, Any]:
        name = str(photo) if isinstance(photo, str | os.PathLike) else index
        try:
            pixels = read_photo(photo)
        except UserError as error:
            return dict(input=name, error=str(error))
        if not self._bgr:
            pixels = pixels[..., ::-1]
        return dict(input=name, views={s: self._view(np.rot90(pixels, s // 90)) for s in shifts})

    def _view(self, pixels: np.ndarray) -> Tensor:
        pixels = np.ascontiguousarray(pixels)
        shape = pixels.shape[:2]
        return self.pipeline(dict(img=pixels, img_shape=shape, ori_shape=shape))['inputs']

    def _result(self, photo: dict[str, Any], scores: Tensor | None) -> dict[str, Any]:
        if scores is None:
            return dict(
                input=photo['input'],
                angle=None,
                probabilities=None,
                confidence=None,
                error=photo['error'],
            )
        probabilities = dict(zip(self.model.angles, scores.tolist(), strict=True))
        angle = max(probabilities, key=lambda key: probabilities[key])
        return dict(
            input=photo['input'],
            angle=angle,
            probabilities=probabilities,
            confidence=probabilities[angle],
            error=None,
        )

    def _inputs_to_list(self, inputs: Any) -> list[Photo]:
        return list(list_photos(inputs))

    def _init_model(self, cfg: Any, weights: str | None, device: str = 'cpu') -> RotationPred:
        return self.model

    def _init_pipeline(self, cfg: Any) -> Compose:
        """Build the test pipeline without the steps that read files and rotate."""
        steps, kinds = [], []
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            for step in inference_pipeline(cfg):
                kinds.append(TRANSFORMS.get(step['type']))
                if kinds[-1] not in _REPLACED:
                    steps.append(TRANSFORMS.build(step))
        # datasets of arrays already use the channel order of the model
        preprocessor = cfg.model.get('data_preprocessor') or {}
        swaps = any(preprocessor.get(key) for key in ('to_rgb', 'bgr_to_rgb'))
        self._bgr = swaps or not _LOADERS.isdisjoint(kinds)
        return Compose(steps)

    def _init_collate(self, cfg: Any) -> None:
        return None

    def _init_visualizer(self, cfg: Any) -> None:
        return None


_LOADERS = {mmcv.transforms.LoadImageFromFile, LoadImage}
_REPLACED = {*_LOADERS, RotatedCopies}
