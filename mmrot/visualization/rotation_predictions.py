import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from .style import paper_style


@torch.no_grad()
@paper_style()
def draw_rotation_predictions(model: nn.Module, images: Tensor) -> Figure:
    """Plot the rotated copies of images with their predicted rotations.

    Args:
        model: A :class:`mmrot.RotationPred`; it is set to eval mode.
        images: (N, 3, H, W), uint8.

    Returns:
        One column per image and one row per angle. The prediction is written above
        each copy, green if it is right and red if it is wrong.
    """
    model.eval()
    data = model.data_preprocessor(dict(inputs=images))
    samples = model(**data, mode='predict')
    copies = data['inputs'].unflatten(0, (len(images), -1)).cpu()  # (N, K, 3, H, W)
    low, high = copies.min(), copies.max()
    angles = samples[0].angles
    figure, axes = plt.subplots(
        len(angles),
        len(images),
        figsize=(len(images) + 0.8, 1.2 * len(angles) + 0.5),
        squeeze=False,
        layout='constrained',
    )
    figure.suptitle('Predicted rotation of each copy (green: right, red: wrong)', fontsize=10)
    for k, row in enumerate(axes):
        row[0].set_ylabel(f'rotated by {angles[k]}°', fontsize=8)
        for axis, sample, rotated in zip(row, samples, copies, strict=True):
            guess = int(sample.rotation_score[k].argmax())
            color = 'tab:green' if guess == k else 'tab:red'
            axis.imshow(((rotated[k] - low) / (high - low)).permute(1, 2, 0).numpy())
            axis.set_title(f'{angles[guess]}°', fontsize=9, color=color, pad=3)
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set(color=color, linewidth=1.5)
    return figure
