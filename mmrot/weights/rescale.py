import math

import torch
from torch import Tensor, nn

from mmrot.errors import UserError

from .network import build_network, network_config

_BIAS = 0.1  # mean of every channel after normalisation
_DRAWS = 8  # random gradients that the rates are averaged over


@torch.enable_grad()
def rescale(backbone: dict[str, Tensor], images: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Scale the layers of a network so that all of them learn at the same rate.

    The data-dependent rescaling that the paper applies before transfer (Section 4.2), from
    Krähenbühl et al., *Data-dependent Initializations of Convolutional Neural Networks*, ICLR
    2016, Section 3.2. The rate of a layer is the size of its gradient divided by the size of its
    weights; layers are scaled until all rates are equal. As for the pretrained networks there,
    each layer has a single scale, so that the relations between its filters are kept.

    The network is homogeneous (convolutions, linear layers, ReLU, pooling), so there is a closed
    form: when layer k is scaled by s_k and its bias by s_1···s_k, the outputs are scaled by
    P = s_1···s_L and the rate r_k of layer k becomes P·r_k / s_k². Hence s_k = sqrt(r_k / T),
    where T is chosen such that the outputs have unit standard deviation, as in the authors' code.

    As in the set-up that the authors of RotNet released, a network that ends in a fully connected
    layer is followed by a new classifier of 1,000 classes, N(0, 0.01²), which takes part in the
    rescaling and is discarded.

    The paper does not give the details. Ours: the gradient is that of the outputs,
    weighted with random Gaussian numbers as in Section 3.2, averaged over 8 draws; sizes are root
    mean squares; biases are excluded from the rates. Equal rates leave one scale free, which is
    set so that the outputs, rather than each layer in between, have unit scale.

    Args:
        backbone: State dict of :class:`mmrot.AlexNet` or :class:`mmrot.NIN` without batch norm.
        images: Real images as the network takes them, (N, 3, H, W).
        seed: Seed of the classifier and the random gradients.

    Returns:
        State dict with the same keys. On ``images`` the features are the previous ones times a
        constant; the outputs have unit standard deviation (over images and positions, averaged
        over channels).

    Raises:
        UserError: If the network has batch norm, or a layer whose outputs or gradients are zero.
    """
    config = network_config(backbone)
    if config.get('norm_cfg', True) is not None:
        raise UserError(
            f'{config["type"]} has batch norm, which cancels any scale. Absorb it first with '
            '`mmrot convert absorb-bn`.'
        )
    network = build_network(backbone).requires_grad_()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    generator = torch.Generator().manual_seed(seed)
    output = network(images)[-1]  # (N, C, H', W') or (N, D)
    if output.flatten(1).shape == output.shape[:2]:  # fc7, also as a convolution
        classifier = nn.Linear(output.shape[1], 1000)
        nn.init.normal_(classifier.weight, std=0.01, generator=generator)
        nn.init.zeros_(classifier.bias)
        layers.append(classifier)
        output = classifier(output.flatten(1))  # (N, 1000)
    std = _std(output.detach())
    squares = torch.zeros(len(layers), dtype=torch.float64)  # mean squared gradient
    for draw in range(_DRAWS):
        top = torch.randn(output.shape, generator=generator)
        weights = [layer.weight for layer in layers]
        gradients = torch.autograd.grad(output, weights, top, retain_graph=draw < _DRAWS - 1)
        squares += torch.stack([g.double().square().mean() for g in gradients]) / _DRAWS
    sizes = torch.stack([layer.weight.detach().double().square().mean() for layer in layers])
    rates = (squares / sizes).sqrt()  # (L,)
    if not std > 0 or not torch.isfinite(rates.log()).all():
        raise UserError(
            f'the outputs have standard deviation {std:g} and the layers have rates of change '
            f'{", ".join(f"{rate:.2g}" for rate in rates)}, expected positive numbers.'
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


@torch.no_grad()
def random_rescaled(
    backbone: dict[str, Tensor], images: Tensor, seed: int = 0
) -> dict[str, Tensor]:
    """Initialise a network from data, the baseline "random rescaled" of Table 7.

    Krähenbühl et al., ICLR 2016, section 3: Gaussian weights; each layer, from the first to the
    last, is normalised so that every channel has unit standard deviation and a mean of 0.1 on the
    images; then :func:`rescale` equalises the rates of the layers.

    Args:
        backbone: State dict of :class:`mmrot.AlexNet` or :class:`mmrot.NIN` without batch norm,
            of which only the shapes are used.
        images: Real images as the network takes them, (N, 3, H, W), at least 2.
        seed: Seed of the weights.

    Returns:
        State dict with the same keys.

    Raises:
        UserError: As :func:`rescale`.
    """

    def normalise(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        channels = output.transpose(0, 1).flatten(1)  # (C, N·H·W)
        mean, std = channels.mean(1), channels.std(1, correction=0)
        shape = (-1, *[1] * (output.ndim - 2))
        layer.weight /= std.view(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.copy_(_BIAS - mean / std)
        return (output - mean.view(shape)) / std.view(shape) + _BIAS

    network = build_network(backbone)
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, generator=generator)
            if layer.bias is not None:  # else there is batch norm, which rescale rejects
                nn.init.zeros_(layer.bias)
                layer.register_forward_hook(normalise)
    network(images)
    return rescale(network.state_dict(), images, seed)


def _std(output: Tensor) -> float:
    """Compute the standard deviation over images and positions, averaged over channels."""
    channels = output.transpose(0, 1).flatten(1)  # (C, N·H·W)
    return channels.double().std(1, correction=0).mean().item()
