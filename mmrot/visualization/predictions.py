from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import Dataset

from mmrot.errors import UserError

_GAP = 8  # pixels between the panels
_HEADER = 24  # pixels above the panels for their names


@torch.no_grad()
def draw_side_by_side(
    model: nn.Module,
    dataset: Dataset,
    visualizer: Any,
    out_dir: str | Path,
    count: int = 6,
    score_thr: float = 0.3,
) -> Iterator[Path]:
    """Draw input, prediction and ground truth of images side by side.

    Args:
        model: Detector of mmdet or segmentor of mmseg; it is set to eval mode.
        dataset: Annotated test dataset.
        visualizer: Local visualizer of mmdet or mmseg.
        out_dir: Output directory for the files ``<index>_<image>.png``. It is
            created if necessary.
        count: Number of images, evenly spaced over the dataset.
        score_thr: Minimum score of the boxes to draw, from 0 to 1.

    Yields:
        Path of each file written.

    Raises:
        UserError: If ``count`` is below 1 or the visualizer is not of mmdet or
            mmseg.
    """
    if count < 1:
        raise UserError(f'count={count} is not a positive integer.')
    host = type(visualizer).__module__.partition('.')[0]
    if host not in ('mmdet', 'mmseg'):
        raise UserError(
            f'the visualizer {type(visualizer).__name__} draws neither detections nor '
            'segmentations. Use a config of mmdet or mmseg.'
        )
    more = dict(pred_score_thr=score_thr) if host == 'mmdet' else dict(with_labels=False)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    visualizer.dataset_meta = dataset.metainfo
    model.eval()
    for index in np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)):
        (sample,) = model.test_step(pseudo_collate([dataset[int(index)]]))
        image = mmcv.imread(sample.img_path, channel_order='rgb')
        panels = {'input': image}
        for name in ('prediction', 'ground truth'):
            visualizer.add_datasample(
                name,
                image,
                data_sample=sample.cpu(),
                draw_pred=name == 'prediction',
                draw_gt=name == 'ground truth',
                show=False,
                **more,
            )
            panels[name] = visualizer.get_image()
        # images in different folders may have the same name
        path = out_dir / f'{index:05d}_{Path(sample.img_path).stem}.png'
        mmcv.imwrite(_join(panels)[..., ::-1], str(path))
        yield path


def _join(panels: dict[str, np.ndarray]) -> np.ndarray:
    """Concatenate panels of one size horizontally, below their names."""
    columns = []
    for name, picture in panels.items():
        header = np.full((_HEADER, picture.shape[1], 3), 255, np.uint8)
        cv2.putText(header, name, (4, _HEADER - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
        columns += [np.concatenate([header, picture]), None]
    gap = np.full((columns[0].shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([gap if part is None else part for part in columns[:-1]], axis=1)
