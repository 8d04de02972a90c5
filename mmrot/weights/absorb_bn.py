import ast
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from mmrot.errors import UserError


def absorb_bn(state_dict: dict[str, Tensor], eps: float = 1e-5) -> dict[str, Tensor]:
    """Fold batch norm into the convolution or linear layer before it.

    For AlexNet, NIN and every sequential chain in which batch norm follows a
    ``Conv2d`` or ``Linear`` directly: each belongs to the layer that comes before
    it in the state dict, which cannot tell a transposed convolution or a ReLU in
    between.
    In eval mode the network without batch norm, ``norm_cfg=None``, computes the
    same. What the paper does before transfer to detection and segmentation
    (section 4.2).

    Args:
        state_dict (dict[str, Tensor]): Of a backbone or of a whole model.
        eps (float): Of the batch norms; PyTorch's default.

    Returns:
        dict[str, Tensor]: Without batch norm; every layer before one has a bias.

    Raises:
        UserError: If a batch norm has no layer of its width before it, or there
            is no batch norm at all; names it.
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
                f'batch norm {name} of {len(mean)} channels: expected a convolution or linear '
                'layer of that width just before it, as in a sequential chain'
            )
        weight = out[f'{before}weight']
        fuse = fuse_conv_bn_weights if weight.ndim == 4 else fuse_linear_bn_weights
        # in double precision: the statistics of many layers multiply
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
        raise UserError('no batch norm among the weights: expected a network that has some')
    return out


def norm_eps(checkpoint: dict[str, Any], source: str) -> float:
    """Tell the eps of a checkpoint's batch norms, which its weights do not.

    Args:
        checkpoint (dict): With the text of its config in ``meta``, or without.
            That config is code: it is searched, not run.
        source (str): Where it comes from, for the error.

    Returns:
        float: PyTorch's default, 1e-5.

    Raises:
        UserError: If the config has another eps.
    """
    text = str((checkpoint.get('meta') or {}).get('cfg', ''))
    try:
        said = {1e-5, *_norm_eps_in(ast.parse(text))}
    except (SyntaxError, RecursionError):  # no Python, or nothing that mmengine writes
        said = {1e-5}
    if said != {1e-5}:
        others = ', '.join(str(eps) for eps in said - {1e-5})
        raise UserError(
            f'{source}: its config has norm_cfg with eps={others}; expected '
            'tools/convert.py absorb-bn --eps with that of its batch norms'
        )
    return 1e-5


def _norm_eps_in(tree: ast.AST) -> Iterator[float]:
    """Find every ``norm_cfg`` of a config, as ``dict(...)`` or ``{...}``, that says an eps."""
    for node in ast.walk(tree):
        for name, value in _items(node):
            if name == 'norm_cfg':
                for key, eps in _items(value):
                    number = eps.value if isinstance(eps, ast.Constant) else None
                    if key == 'eps' and isinstance(number, int | float):
                        yield float(number)


def _items(node: ast.AST) -> Iterator[tuple[str | None, ast.AST]]:
    """Give the keys and values of ``dict(...)``, ``{...}`` or an assignment."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield str(key.value), value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value
