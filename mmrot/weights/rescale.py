import math

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmrot.errors import UserError

from .network import network_config


@torch.enable_grad()
def rescale(
    backbone: dict[str, Tensor], images: Tensor, draws: int = 8, seed: int = 0
) -> dict[str, Tensor]:
    """Scale the layers of a network so that all learn at the same rate.

    The data-dependent rescaling that the paper uses before transfer (section
    4.2), Krähenbühl et al., *Data-dependent Initializations of Convolutional
    Neural Networks*, ICLR 2016, section 3.2: a layer's rate of change is the
    size of its gradient over the size of its weights, and layers are scaled
    until their rates are equal. As for the pretrained networks there, a layer
    has one scale, its filters keep their relations.

    The network is homogeneous (convolutions, linear layers, ReLU, pooling), so
    the answer is closed: with layer k scaled by s_k and its bias by s_1···s_k,
    the outputs are scaled by P = s_1···s_L and the rate r_k of layer k becomes
    P·r_k / s_k². Hence s_k = sqrt(r_k / T), and T is chosen such that the
    outputs have unit standard deviation, as the authors' code does.

    The paper is silent on the details. Ours: the gradient is that of random
    Gaussian weights on the outputs of the last stage, as in section 3.2, the
    mean over some draws; sizes are root mean squares; biases count neither in
    the rate nor in the scale. Equal rates leave one scale free, so it is the
    outputs that get unit scale, not each layer in between.

    Args:
        backbone (dict[str, Tensor]): Weights of :class:`mmrot.AlexNet` or
            :class:`mmrot.NIN` without batch norm.
        images (Tensor): (N, 3, H, W), normalised real images.
        draws (int): Random gradients that the rates are averaged over.
        seed (int): Of the gradients.

    Returns:
        dict[str, Tensor]: The same keys. On ``images`` the outputs are those
        from before times one factor, with unit standard deviation: the mean
        over the channels of that over images and positions.

    Raises:
        UserError: If there is batch norm, or a layer gives nothing.
    """
    config = network_config(backbone)
    if config.get('norm_cfg', True) is not None:
        raise UserError(
            f'{config["type"]} has batch norm, which undoes a scale: expected a network of mmrot '
            'that absorbed it, see absorb-bn'
        )
    network = MODELS.build(config)
    network.load_state_dict(backbone)
    network.eval()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    output = network(images)[-1]  # (N, C, H', W') or (N, D)
    std = _std(output.detach())
    generator = torch.Generator().manual_seed(seed)
    squares = torch.zeros(len(layers), dtype=torch.float64)  # mean squared gradient
    for draw in range(draws):
        top = torch.randn(output.shape, generator=generator)
        weights = [layer.weight for layer in layers]
        gradients = torch.autograd.grad(output, weights, top, retain_graph=draw < draws - 1)
        squares += torch.stack([g.double().square().mean() for g in gradients]) / draws
    sizes = torch.stack([layer.weight.detach().double().square().mean() for layer in layers])
    rates = (squares / sizes).sqrt()  # (L,)
    if not std > 0 or not torch.isfinite(rates.log()).all():
        raise UserError(
            f'the outputs have standard deviation {std:g}, the layers rates of change '
            f'{", ".join(f"{rate:.2g}" for rate in rates)}: expected numbers above 0'
        )
    log_scales = rates.log() / 2
    log_scales -= log_scales.mean() + math.log(std) / len(layers)
    with torch.no_grad():
        for layer, scale, so_far in zip(
            layers, log_scales.exp(), log_scales.cumsum(0).exp(), strict=True
        ):
            layer.weight *= scale
            layer.bias *= so_far
    return network.state_dict()


def _std(output: Tensor) -> float:
    """Average over the channels the deviation over images and positions."""
    channels = output.transpose(0, 1).flatten(1)  # (C, N·H·W)
    return channels.double().std(1, correction=0).mean().item()
