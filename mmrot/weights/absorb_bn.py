import re
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from mmrot.errors import UserError

# norm_cfg=dict(..., eps=0.001) or 'norm_cfg': {..., 'eps': 0.001} in the text of a config.
_NORM_EPS = re.compile(
    r"""norm_cfg['"]?\s*[=:]\s*(?:dict\(|\{)[^)}]*?\beps['"]?\s*[=:]\s*([\d.]+(?:e[-+]?\d+)?)"""
)


def absorb_bn(state_dict: dict[str, Tensor], eps: float = 1e-5) -> dict[str, Tensor]:
    """Fold batch norm into the convolution or linear layer before it.

    In eval mode, the network without batch norm (``norm_cfg=None``) computes the same outputs.
    The paper does this before transfer to detection and segmentation (Section 4.2).

    Works for AlexNet, NIN and any sequential chain in which batch norm directly follows a
    ``Conv2d`` or ``Linear``. Each batch norm is folded into the layer before it in the state
    dict, from which a ReLU in between or a transposed convolution cannot be detected.

    Args:
        state_dict: State dict of a backbone or of a whole model.
        eps: Epsilon of the batch norms.

    Returns:
        State dict without batch norm, in which every layer that preceded one has a bias.

    Raises:
        UserError: If there is no batch norm, or one without a layer of its width before it.
    """
    modules: dict[str, list[str]] = {}
    for key in state_dict:
        name, _, parameter = key.rpartition('.')
        modules.setdefault(name, []).append(parameter)
    out: dict[str, Tensor] = {}
    before = None
    absorbed = 0
    for name, parameters in modules.items():
        prefix = f'{name}.' if name else ''
        if 'running_mean' not in parameters:
            for parameter in parameters:
                out[prefix + parameter] = state_dict[prefix + parameter]
            weight = state_dict.get(f'{prefix}weight')
            before = prefix if weight is not None and weight.ndim in (2, 4) else None
            continue
        mean, var = state_dict[f'{prefix}running_mean'], state_dict[f'{prefix}running_var']
        if before is None or len(out[f'{before}weight']) != len(mean):
            raise UserError(
                f'batch norm {name} does not directly follow a convolution or linear layer with '
                f'{len(mean)} outputs.'
            )
        weight = out[f'{before}weight']
        fuse = fuse_conv_bn_weights if weight.ndim == 4 else fuse_linear_bn_weights
        # double precision, since rounding errors multiply from layer to layer
        fused = fuse(
            *(
                None if value is None else value.double()
                for value in (weight, out.get(f'{before}bias'), mean, var)
            ),
            eps,
            state_dict.get(f'{prefix}weight', torch.ones_like(mean)).double(),
            state_dict.get(f'{prefix}bias', torch.zeros_like(mean)).double(),
        )
        for parameter, value in zip(('weight', 'bias'), fused, strict=True):
            out[f'{before}{parameter}'] = value.detach().to(weight.dtype)
        before = None
        absorbed += 1
    if not absorbed:
        raise UserError('the weights have no batch norm to absorb.')
    return out


def check_norm_eps(checkpoint: dict[str, Any], source: str) -> None:
    """Check that the config in a checkpoint uses PyTorch's default batch norm epsilon.

    Epsilon is not part of the weights. The config in a checkpoint is code, so it is searched, not
    executed.

    Args:
        checkpoint: Checkpoint with the text of its config in ``meta``, or without.
        source: Name of the file, for errors.

    Raises:
        UserError: If a ``norm_cfg`` in the config has an ``eps`` other than PyTorch's default.
    """
    text = str((checkpoint.get('meta') or {}).get('cfg', ''))
    others = sorted({float(eps) for eps in _NORM_EPS.findall(text)} - {1e-5})
    if others:
        raise UserError(
            f'the config in {source} has a norm_cfg with eps={others[0]}. Absorb its batch norms '
            'with `mmrot convert absorb-bn --eps`.'
        )
