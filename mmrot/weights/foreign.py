import re
from typing import Any

import torch
from torch import Tensor

from mmrot.errors import UserError, first_few

from .state_dict import tensors_of

# The code bases that published RotNets. All but MMSelfSup 1.x rotate counter-clockwise, as mmrot
# does.
FORMATS = ('authors-nin', 'authors-alexnet', 'mmselfsup-0.x', 'mmselfsup-1.x', 'vissl')

_PREFIX = '_feature_blocks.'
_ALEXNET_CONVS = {'0': 'conv1', '2': 'conv2', '4': 'conv3', '5': 'conv4', '6': 'conv5'}
# After pool5: in the authors' fc block, and in VISSL's head, whose numbers do not count Flatten.
_ALEXNET_FCS = {
    '8.1': 'backbone.fc6.fc',
    '8.2': 'backbone.fc6.bn',
    '8.4': 'backbone.fc7.fc',
    '8.5': 'backbone.fc7.bn',
    '9.0': 'head.fc',
}
_VISSL_HEAD = {
    '0.clf.0': 'backbone.fc6.fc',
    '0.clf.1': 'backbone.fc6.bn',
    '0.clf.3': 'backbone.fc7.fc',
    '0.clf.4': 'backbone.fc7.bn',
    '0.clf.6': 'head.fc',
}
_NIN_LAYERS = {'Conv': 'conv', 'BatchNorm': 'bn'}


def import_rotnet(checkpoint: dict[str, Any], fmt: str) -> tuple[dict[str, Tensor], list[str]]:
    """Convert a RotNet from another code base to mmrot's names and rotation convention.

    ==================  ======================================================
    ``authors-nin``     The authors' NIN: ``network`` with
                        ``_feature_blocks.0.Block1_ConvB1.layers.Conv.weight``
    ``authors-alexnet`` The authors' AlexNet: ``_feature_blocks.0.0.weight``
    ``mmselfsup-0.x``   ResNet-50 of MMSelfSup 0.x: ``backbone.``, ``head.fc_cls``
    ``mmselfsup-1.x``   The same of MMSelfSup 1.x, which rotates clockwise:
                        rows 1 and 3 of the head are swapped
    ``vissl``           AlexNet and ResNet-50 of VISSL: ``classy_state_dict``
                        with a trunk and heads, or ``model_state_dict`` with
                        the authors' names
    ==================  ======================================================

    A bare ResNet, as in MMSelfSup's model zoo, can be imported in either of its formats: without
    a head, the direction of rotation makes no difference.

    The linear layers of VISSL's AlexNet have a bias before batch norm, which is subtracted from
    the running mean.

    Args:
        checkpoint: Content of the file.
        fmt: One of ``FORMATS``, see :func:`guess_format`.

    Returns:
        State dict of the pretraining model, with the prefixes ``backbone.`` and, if the file has
        a head with four rotations, ``head.``; and the keys that were left out.

    Raises:
        UserError: If the format is unknown or the file has a different layout; the message lists
            the unexpected keys.
    """
    if fmt not in FORMATS:
        raise UserError(f'format {fmt!r}: expected one of {", ".join(FORMATS)}')
    state = tensors_of(_weights(checkpoint))
    if fmt == 'vissl' and 'classy_state_dict' in checkpoint:
        weights, left_out = _from_vissl(checkpoint)
    elif fmt.startswith('mmselfsup'):
        weights, left_out = _from_mmselfsup(state)
    else:
        weights, left_out = _from_authors(state, fmt), []
    if not any(key.startswith('backbone.') for key in weights):
        raise UserError(f'format {fmt}: expected a backbone, found {first_few(left_out)}')
    for key in [key for key in weights if key.endswith('running_mean')]:
        # PyTorch before 0.4.1 did not count batches
        weights.setdefault(
            key.replace('running_mean', 'num_batches_tracked'), torch.zeros((), dtype=torch.long)
        )
    rotations = weights.get('head.fc.weight')
    if rotations is not None and len(rotations) != 4:
        raise UserError(f'the classifier has {len(rotations)} classes, expected 4 rotations.')
    if fmt == 'mmselfsup-1.x' and rotations is not None:
        weights.update(permute_head(weights))
    return weights, left_out


def guess_format(checkpoint: dict[str, Any]) -> str:
    """Detect the format of a checkpoint from its keys.

    Args:
        checkpoint: Content of the file.

    Returns:
        One of ``FORMATS``.

    Raises:
        UserError: If it is another format, or a file of MMSelfSup without the ``meta`` that
            distinguishes 0.x from 1.x.
    """
    if 'classy_state_dict' in checkpoint:
        return 'vissl'
    keys = list(tensors_of(_weights(checkpoint)))
    if any(re.match(r'_feature_blocks\.\d+\.Block\d+_ConvB', key) for key in keys):
        return 'authors-nin'
    if f'{_PREFIX}0.0.weight' in keys:
        return 'authors-alexnet'
    if 'conv1.weight' in keys:
        return 'mmselfsup-0.x'  # a bare backbone is the same in both versions
    if 'backbone.conv1.weight' in keys:
        other = [key for key in keys if not key.startswith(('backbone.', 'head.fc_cls.'))]
        if other:
            raise UserError(
                f'expected a RotNet of MMSelfSup, with backbone and head.fc_cls, found {other[0]}'
            )
        if not any(key.startswith('head.fc_cls') for key in keys):
            return 'mmselfsup-0.x'
        meta = checkpoint.get('meta') or {}
        # MMSelfSup 1.x stores the version of mmcv as well
        for field, version in (('mmengine_version', '1.x'), ('mmcv_version', '0.x')):
            if field in meta:
                return f'mmselfsup-{version}'
        raise UserError(
            'the checkpoint does not contain the version of MMSelfSup. Pass --format '
            'mmselfsup-0.x (counter-clockwise) or mmselfsup-1.x (clockwise).'
        )
    found = first_few(keys or checkpoint, 4)
    raise UserError(f'expected a RotNet in the format {", ".join(FORMATS)}, found {found}.')


def permute_head(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Permute a head that was trained on clockwise rotations to mmrot's labels.

    Args:
        weights: State dict with ``head.fc.weight`` (4, C) and optionally ``head.fc.bias`` (4,).

    Returns:
        State dict of the head, with rows 1 and 3 swapped.
    """
    clockwise = torch.tensor([0, 3, 2, 1])
    return {key: value[clockwise] for key, value in weights.items() if key.startswith('head.fc.')}


def _weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the state dict in a file of the authors, VISSL or MMSelfSup."""
    for field in ('network', 'model_state_dict', 'state_dict'):
        if isinstance(checkpoint.get(field), dict):
            return checkpoint[field]
    return checkpoint


def _from_authors(state: dict[str, Tensor], fmt: str) -> dict[str, Tensor]:
    rename = _nin_name if fmt == 'authors-nin' else _alexnet_name
    names = {key: rename(key) for key in state}
    unexpected = [key for key, name in names.items() if name is None]
    if unexpected:
        raise UserError(f'format {fmt}: unexpected keys {first_few(unexpected)}.')
    return {name: state[key] for key, name in names.items() if name}


def _nin_name(key: str) -> str | None:
    if match := re.fullmatch(
        r'_feature_blocks\.(\d+)\.Block(\d+)_ConvB(\d)\.layers\.(Conv|BatchNorm)\.(\w+)', key
    ):
        block, layer = match[2], match[3]
        return f'backbone.block{block}.layer{layer}.{_NIN_LAYERS[match[4]]}.{match[5]}'
    if match := re.fullmatch(r'_feature_blocks\.\d+\.Classifier\.(\w+)', key):
        return f'head.fc.{match[1]}'
    return None


def _alexnet_name(key: str) -> str | None:
    if match := re.fullmatch(r'_feature_blocks\.([02456])\.([01])\.(\w+)', key):
        kind = 'conv' if match[2] == '0' else 'bn'
        return f'backbone.{_ALEXNET_CONVS[match[1]]}.{kind}.{match[3]}'
    module, _, parameter = key.removeprefix(_PREFIX).rpartition('.')
    if key.startswith(_PREFIX) and module in _ALEXNET_FCS:
        return f'{_ALEXNET_FCS[module]}.{parameter}'
    return None


def _from_mmselfsup(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    weights, left_out = {}, []
    bare = 'conv1.weight' in state
    for key, value in state.items():
        name = f'backbone.{key}' if bare else re.sub(r'^head\.fc_cls\.', 'head.fc.', key)
        if name.startswith(('backbone.', 'head.fc.')):
            weights[name] = value
        else:
            left_out.append(key)
    return weights, left_out


def _from_vissl(checkpoint: dict[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    try:
        model = checkpoint['classy_state_dict']['base_model']['model']
        trunk, heads = tensors_of(model['trunk']), tensors_of(model.get('heads', {}))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f'format vissl: expected base_model.model.trunk ({error})') from None
    weights: dict[str, Tensor] = {}
    left_out = []
    resnet = f'{_PREFIX}layer1.0.conv1.weight' in trunk
    for key, value in trunk.items():
        name = f'backbone.{key.removeprefix(_PREFIX)}' if resnet else _alexnet_name(key)
        if name is None or not key.startswith(_PREFIX):
            raise UserError(f'format vissl: unexpected key {key} in the trunk.')
        weights[name] = value
    names = {'0.clf.0': 'head.fc'} if resnet else _VISSL_HEAD
    for key, value in heads.items():
        module, _, parameter = key.rpartition('.')
        if module in names:
            weights[f'{names[module]}.{parameter}'] = value
        else:
            left_out.append(f'heads.{key}')
    for name in ('backbone.fc6', 'backbone.fc7'):
        bias = weights.pop(f'{name}.fc.bias', None)
        if bias is not None and f'{name}.bn.running_mean' in weights:
            weights[f'{name}.bn.running_mean'] = weights[f'{name}.bn.running_mean'] - bias
    return weights, left_out
