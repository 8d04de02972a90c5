import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn


@torch.no_grad()
def draw_rotation_predictions(model: nn.Module, images: Tensor) -> Figure:
    """Plot the rotated copies of images with true and predicted rotation.

    Args:
        model: A :class:`mmrot.RotationPred`; it is set to eval mode.
        images: (N, 3, H, W), uint8.

    Returns:
        One column per image and one row per angle. Titles are green where the
        prediction is right and red where it is wrong.
    """
    model.eval()
    data = model.data_preprocessor(dict(inputs=images))
    samples = model(**data, mode='predict')
    copies = data['inputs'].unflatten(0, (len(images), -1)).cpu()  # (N, K, 3, H, W)
    low, high = copies.min(), copies.max()
    angles = samples[0].angles
    figure, axes = plt.subplots(
        len(angles), len(images), figsize=(1.6 * len(images), 1.75 * len(angles)), squeeze=False
    )
    for k, row in enumerate(axes):
        for axis, sample, rotated in zip(row, samples, copies, strict=True):
            guess = int(sample.rotation_score[k].argmax())
            axis.imshow(((rotated[k] - low) / (high - low)).permute(1, 2, 0).numpy())
            axis.set_title(
                f'true {angles[k]}°, predicted {angles[guess]}°',
                fontsize=7,
                color='tab:green' if guess == k else 'tab:red',
            )
            axis.axis('off')
    figure.tight_layout()
    return figure
