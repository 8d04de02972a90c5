import re
from typing import Any

import torch
from torch import Tensor

from mmrot.errors import UserError

from .state_dict import tensors_of

# Which of the published codes a checkpoint comes from. All but MMSelfSup 1.x
# rotate as mmrot does, counter-clockwise.
FORMATS = ('authors-nin', 'authors-alexnet', 'mmselfsup-0.x', 'mmselfsup-1.x', 'vissl')

_PREFIX = '_feature_blocks.'
_ALEXNET_CONVS = {'0': 'conv1', '2': 'conv2', '4': 'conv3', '5': 'conv4', '6': 'conv5'}
# behind pool5: in the authors' fc block, and in VISSL's head, which counts without Flatten
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


def import_rotnet(checkpoint: dict[str, Any], source: str) -> tuple[dict[str, Tensor], list[str]]:
    """Bring a RotNet of another code base into mmrot's names and convention.

    ==================  ======================================================
    ``authors-nin``     The authors' NIN: ``network`` with
                        ``_feature_blocks.0.Block1_ConvB1.layers.Conv.weight``
    ``authors-alexnet`` The authors' AlexNet: ``_feature_blocks.0.0.weight``
    ``mmselfsup-0.x``   ResNet-50 of MMSelfSup 0.x: ``backbone.``, ``head.fc_cls``
    ``mmselfsup-1.x``   The same of MMSelfSup 1.x, whose ``RotationWithLabels``
                        turns clockwise: rows 1 and 3 of the head change places
    ``vissl``           AlexNet and ResNet-50 of VISSL: ``classy_state_dict``
                        with a trunk and heads, or ``model_state_dict`` with
                        the authors' names
    ==================  ======================================================

    A bare ResNet, as MMSelfSup's zoo publishes them, is taken as either of its
    formats: without a head the direction makes no difference.

    The linear layers of VISSL's AlexNet have a bias before batch norm, which
    becomes part of its running mean.

    Args:
        checkpoint (dict): What the file holds.
        source (str): One of ``FORMATS``, see :func:`guess_format`.

    Returns:
        tuple[dict[str, Tensor], list[str]]: Weights of the pretraining model,
        ``backbone.`` and, where the file has one of four rotations, ``head.``;
        and the keys that were left out.

    Raises:
        UserError: If there is no such format, or the file has another layout;
            names the keys that have no place.
    """
    if source not in FORMATS:
        raise UserError(f'format {source!r}: expected one of {", ".join(FORMATS)}')
    state = tensors_of(_weights(checkpoint))
    if source == 'vissl' and 'classy_state_dict' in checkpoint:
        weights, left_out = _from_vissl(checkpoint)
    elif source.startswith('mmselfsup'):
        weights, left_out = _from_mmselfsup(state)
    else:
        weights, left_out = _from_authors(state, source), []
    if not any(key.startswith('backbone.') for key in weights):
        found = ', '.join(left_out[:5]) or 'nothing'
        raise UserError(f'format {source}: expected a backbone, found {found}')
    for key in [key for key in weights if key.endswith('running_mean')]:
        # files of PyTorch before 0.4.1 do not count batches
        weights.setdefault(
            key.replace('running_mean', 'num_batches_tracked'), torch.zeros((), dtype=torch.long)
        )
    rotations = weights.get('head.fc.weight')
    if rotations is not None and len(rotations) != 4:
        raise UserError(f'the classifier has {len(rotations)} classes: expected 4 rotations')
    if source == 'mmselfsup-1.x' and rotations is not None:
        weights.update(permute_head(weights))
    return weights, left_out


def guess_format(checkpoint: dict[str, Any]) -> str:
    """Tell a checkpoint's format from its keys.

    Args:
        checkpoint (dict): What the file holds.

    Returns:
        str: One of ``FORMATS``.

    Raises:
        UserError: If it is none of them, or either MMSelfSup 0.x or 1.x, which
            have the same keys, without the ``meta`` that tells them apart.
    """
    if 'classy_state_dict' in checkpoint:
        return 'vissl'
    keys = list(tensors_of(_weights(checkpoint)))
    if any(re.match(r'_feature_blocks\.\d+\.Block\d+_ConvB', key) for key in keys):
        return 'authors-nin'
    if f'{_PREFIX}0.0.weight' in keys:
        return 'authors-alexnet'
    if 'conv1.weight' in keys:
        return 'mmselfsup-0.x'  # bare; without a head the two are the same
    if 'backbone.conv1.weight' in keys:
        other = [key for key in keys if not key.startswith(('backbone.', 'head.fc_cls.'))]
        if other:
            raise UserError(
                f'expected a RotNet of MMSelfSup, backbone and head.fc_cls; found {other[0]}'
            )
        if not any(key.startswith('head.fc_cls') for key in keys):
            return 'mmselfsup-0.x'
        meta = checkpoint.get('meta') or {}
        # MMSelfSup 1.x notes the version of mmcv as well
        for field, source in (('mmengine_version', '1.x'), ('mmcv_version', '0.x')):
            if field in meta:
                return f'mmselfsup-{source}'
        raise UserError(
            'a checkpoint of MMSelfSup without the version that made it: expected --format '
            'mmselfsup-0.x (counter-clockwise) or mmselfsup-1.x (clockwise)'
        )
    found = ', '.join(map(str, (keys or list(checkpoint))[:4])) or 'nothing'
    raise UserError(f'expected a RotNet of {", ".join(FORMATS)}; found {found}, ...')


def permute_head(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a head that was trained on clockwise turns mmrot's labels.

    Args:
        weights (dict[str, Tensor]): With ``head.fc.weight`` (4, C) and
            ``head.fc.bias`` (4,), or without the latter.

    Returns:
        dict[str, Tensor]: The head's weights, rows 1 and 3 swapped.
    """
    clockwise = torch.tensor([0, 3, 2, 1])
    return {key: value[clockwise] for key, value in weights.items() if key.startswith('head.fc.')}


def _weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Find where a file of the authors, VISSL or MMSelfSup keeps its weights."""
    for field in ('network', 'model_state_dict', 'state_dict'):
        if isinstance(checkpoint.get(field), dict):
            return checkpoint[field]
    return checkpoint


def _from_authors(state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    nin = source == 'authors-nin'  # the others are AlexNets
    weights, unknown = {}, []
    for key, value in state.items():
        name = _nin_name(key) if nin else _alexnet_name(key)
        if name is None:
            unknown.append(key)
        else:
            weights[name] = value
    if unknown:
        raise UserError(f'format {source}: no place for {", ".join(unknown[:5])}')
    return weights


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
        raise UserError(
            f'format vissl: expected base_model, model and a trunk ({error})'
        ) from None
    weights: dict[str, Tensor] = {}
    left_out = []
    resnet = f'{_PREFIX}layer1.0.conv1.weight' in trunk
    for key, value in trunk.items():
        name = f'backbone.{key.removeprefix(_PREFIX)}' if resnet else _alexnet_name(key)
        if name is None or not key.startswith(_PREFIX):
            raise UserError(f'format vissl: no place for {key} of the trunk')
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
