"""Convert backbones of mmpretrain, mmdet and mmseg to the networks of torchvision and timm."""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision import models

from mmrot.errors import UserError, first_few

LIBRARIES = ('torchvision', 'timm')
State = dict[str, Tensor]
Rules = tuple[tuple[str, str | Callable[[re.Match], str]], ...]

# Keys that identify the networks of a family.
_FAMILIES = {
    'ResNet': ('layer1.0.conv1.weight',),
    # of mmpretrain, of mmdet
    'MobileNetV2': ('layer1.0.conv.0.conv.weight', 'layer1.0.depthwise_conv.conv.weight'),
    'EfficientNet': ('layers.1.0.depthwise_conv.conv.weight',),
    'ConvNeXt': ('stages.0.0.depthwise_conv.weight',),
    'Vision Transformer': ('layers.0.ln1.weight',),
    'Swin Transformer': ('stages.0.blocks.0.attn.w_msa.qkv.weight',),
}
_TORCHVISION = {
    'ResNet': ('resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152'),
    'MobileNetV2': ('mobilenet_v2',),
    'ConvNeXt': ('convnext_tiny', 'convnext_small', 'convnext_base', 'convnext_large'),
    'Vision Transformer': ('vit_b_16', 'vit_b_32', 'vit_l_16', 'vit_l_32', 'vit_h_14'),
    'Swin Transformer': ('swin_t', 'swin_s', 'swin_b'),
}
# The classifier is the last module of these, by name.
_CLASSIFIERS = {
    'ResNet': 'fc',
    'MobileNetV2': 'classifier',
    'ConvNeXt': 'classifier.2',
    'Vision Transformer': 'heads',
    'Swin Transformer': 'head',
}

_CONVNEXT: dict[str, Rules] = {
    'torchvision': (
        (r'^norm3\.', r'classifier.0.'),
        (r'^downsample_layers\.(\d)\.', lambda m: f'features.{2 * int(m[1])}.'),
        (r'^stages\.(\d)\.', lambda m: f'features.{2 * int(m[1]) + 1}.'),
        (r'\.gamma$', '.layer_scale'),
        (r'\.depthwise_conv\.', '.block.0.'),
        (r'\.norm\.', '.block.2.'),
        (r'\.pointwise_conv1\.', '.block.3.'),
        (r'\.pointwise_conv2\.', '.block.5.'),
    ),
    'timm': (
        (r'^norm3\.', r'head.norm.'),
        (r'^downsample_layers\.0\.', 'stem.'),
        (r'^stages\.(\d)\.', r'stages.\1.blocks.'),
        (r'^downsample_layers\.(\d)\.', r'stages.\1.downsample.'),
        (r'\.depthwise_conv\.', '.conv_dw.'),
        (r'\.pointwise_conv(\d)\.', r'.mlp.fc\1.'),
    ),
}
_VIT: dict[str, Rules] = {
    'torchvision': (
        (r'^cls_token', 'class_token'),
        (r'^pos_embed', 'encoder.pos_embedding'),
        (r'^patch_embed\.projection\.', 'conv_proj.'),
        (r'^ln1\.', 'encoder.ln.'),
        (r'^layers\.(\d+)\.', r'encoder.layers.encoder_layer_\1.'),
        (r'\.ln(\d)\.', r'.ln_\1.'),
        (r'\.attn\.qkv\.', '.self_attention.in_proj_'),
        (r'\.attn\.proj\.', '.self_attention.out_proj.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.0.'),
        (r'\.ffn\.layers\.1\.', '.mlp.3.'),
    ),
    'timm': (
        (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
        (r'^ln1\.', 'norm.'),
        (r'^layers\.', 'blocks.'),
        (r'\.ln(\d)\.', r'.norm\1.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
        (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    ),
}
_SWIN: dict[str, Rules] = {
    'torchvision': (
        (r'^norm3\.', 'norm.'),
        (r'^patch_embed\.projection\.', 'features.0.0.'),
        (r'^patch_embed\.norm\.', 'features.0.2.'),
        (r'^stages\.(\d)\.blocks\.', lambda m: f'features.{2 * int(m[1]) + 1}.'),
        (r'^stages\.(\d)\.downsample\.', lambda m: f'features.{2 * int(m[1]) + 2}.'),
        (r'\.w_msa\.', '.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.0.'),
        (r'\.ffn\.layers\.1\.', '.mlp.3.'),
    ),
    'timm': (
        (r'^norm3\.', 'norm.'),
        (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
        (r'^stages\.(\d)\.blocks\.', r'layers.\1.blocks.'),
        # since timm 0.9 a stage begins with the downsampling before it
        (r'^stages\.(\d)\.downsample\.', lambda m: f'layers.{int(m[1]) + 1}.downsample.'),
        (r'\.w_msa\.', '.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
        (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    ),
}


def network_family(state: State) -> str | None:
    """Return the family of networks that a backbone's keys belong to, None for another one."""
    return next((name for name, keys in _FAMILIES.items() if state.keys() & set(keys)), None)


def rename_for_library(state: State, library: str) -> State:
    """Convert a backbone to the network of torchvision or timm without classifier.

    Args:
        state: State dict of a ResNet, MobileNetV2, EfficientNet, ConvNeXt, Vision Transformer or
            Swin Transformer of mmpretrain, mmdet or mmseg.
        library: ``'torchvision'`` or ``'timm'``.

    Returns:
        State dict with the names of the library.

    Raises:
        UserError: If the names of the network in this library are unknown.
    """
    family = network_family(state)
    if family is None:
        raise UserError(
            f'the names of {library} are known for {", ".join(_FAMILIES)}, not for a network with '
            f'{first_few(state, 3)}.'
        )
    if family == 'EfficientNet' and library == 'torchvision':
        raise UserError(
            "torchvision's EfficientNet pads other sides of the image than mmpretrain's. Use "
            "--style timm, for timm's tf_efficientnet."
        )
    dropped = keys_left_out(state, library)
    return _CONVERSIONS[family](
        {key: value for key, value in state.items() if key not in dropped}, library
    )


def keys_left_out(state: State, library: str) -> list[str]:
    """Return the keys that :func:`rename_for_library` leaves out.

    These are a classifier, norms of the outputs before the last one, and indices that timm
    computes.
    """
    pattern = {
        'ResNet': r'fc\.',
        'ConvNeXt': r'norm[0-2]\.',
        'Swin Transformer': r'norm[0-2]\.' + r'|.*\.relative_position_index' * (library == 'timm'),
    }.get(network_family(state) or '')
    return [key for key in state if pattern and re.match(pattern, key)]


def build_torchvision_network(state: State) -> nn.Module:
    """Build torchvision's network without classifier for a converted state dict and load it.

    Args:
        state: State dict from :func:`rename_for_library`.

    Returns:
        Network in eval mode that returns pooled features (N, C).

    Raises:
        UserError: If torchvision has no network with these weights.
    """
    for family, names in _TORCHVISION.items():
        for name in names:
            with torch.device('meta'):
                network = _without_classifier(getattr(models, name)(weights=None), family)
            shapes = {key: value.shape for key, value in network.state_dict().items()}
            if shapes == {key: value.shape for key, value in state.items()}:
                network = _without_classifier(getattr(models, name)(weights=None), family)
                network.load_state_dict(state)
                return network.eval()
    raise UserError(
        'torchvision has no network with these weights. It has '
        f'{", ".join(name for names in _TORCHVISION.values() for name in names)}, of the usual '
        'widths and image sizes.'
    )


def _without_classifier(network: nn.Module, family: str) -> nn.Module:
    network.set_submodule(_CLASSIFIERS[family], nn.Identity())
    return network


def _replace(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _resnet(state: State, library: str) -> State:
    return state


def _mobilenet_v2(state: State, library: str) -> State:
    blocks = _blocks(state, r'(layer\d+\.\d+)\.')
    names = {}
    for key in state:
        module, kind, parameter = key.rsplit('.', 2)
        block = '.'.join(module.split('.')[:2])
        if block not in blocks:  # stem and last convolution
            last = module == 'conv2'
            if library == 'torchvision':
                names[key] = f'features.{len(blocks) + 1 if last else 0}.{int(kind == "bn")}'
            elif kind == 'conv':
                names[key] = 'conv_head' if last else 'conv_stem'
            else:
                names[key] = 'bn2' if last else 'bn1'
        else:
            modules = _blocks(state, rf'({re.escape(block)}\..*)\.conv\.weight')
            position, is_bn = modules.index(module), int(kind == 'bn')
            if library == 'torchvision':
                projects = position == len(modules) - 1
                inner = str(position + is_bn) if projects else f'{position}.{is_bn}'
                names[key] = f'features.{blocks.index(block) + 1}.conv.{inner}'
            else:
                layer, index = block.removeprefix('layer').split('.')
                inner = _timm_name(position, len(modules), kind)
                names[key] = f'blocks.{int(layer) - 1}.{index}.{inner}'
        names[key] += f'.{parameter}'
    return {names[key]: value for key, value in state.items()}


def _timm_name(position: int, count: int, kind: str) -> str:
    """Name a convolution of a block or its batch norm."""
    convs = ('conv_dw', 'conv_pw') if count == 2 else ('conv_pw', 'conv_dw', 'conv_pwl')
    return f'bn{position + 1}' if kind == 'bn' else convs[position]


def _efficientnet(state: State, library: str) -> State:
    blocks = _blocks(state, r'(layers\.\d+\.\d+)\.')
    # mmpretrain joins the stages of one resolution: a stage ends where the width changes
    places, stage, index, width = {}, -1, 0, None
    for block in blocks:
        out = len(state[f'{block}.linear_conv.conv.weight'])
        stage, index = (stage, index + 1) if out == width else (stage + 1, 0)
        places[block], width = f'blocks.{stage}.{index}', out
    names = {}
    for key in state:
        match = re.match(r'(layers\.\d+\.\d+)\.(.*)', key)
        if not match:  # stem and last convolution
            conv_name, bn_name = ('conv_stem', 'bn1') if '.0.' in key else ('conv_head', 'bn2')
            name = conv_name if '.conv.' in key else bn_name
            names[key] = f'{name}.{key.rpartition(".")[2]}'
            continue
        block, inner = match[1], match[2]
        module, _, rest = inner.partition('.')
        if module == 'se':
            inner = re.sub(r'conv1\.conv', 'se.conv_reduce', rest)
            inner = re.sub(r'conv2\.conv', 'se.conv_expand', inner)
        else:
            modules = _blocks(state, rf'{re.escape(block)}\.(\w+_conv)\.conv\.weight')
            kind, parameter = rest.split('.')
            inner = f'{_timm_name(modules.index(module), len(modules), kind)}.{parameter}'
        names[key] = f'{places[block]}.{inner}'
    return {names[key]: value for key, value in state.items()}


def _convnext(state: State, library: str) -> State:
    converted = {}
    for key, value in state.items():
        if key.endswith('.gamma') and library == 'torchvision':
            value = value[:, None, None]
        converted[_replace(key, _CONVNEXT[library])] = value
    return converted


def _vision_transformer(state: State, library: str) -> State:
    return {_replace(key, _VIT[library]): value for key, value in state.items()}


def _swin_transformer(state: State, library: str) -> State:
    converted = {}
    for key, value in state.items():
        if key.endswith('relative_position_index'):
            value = value.flatten()
        elif '.downsample.' in key:
            # mmpretrain orders the inputs by channel, then by the four pixels row by row; the
            # others by pixels column by column, then by channel
            shape = value.shape
            value = value.unflatten(-1, (-1, 4))[..., [0, 2, 1, 3]].transpose(-2, -1)
            value = value.reshape(shape)
        converted[_replace(key, _SWIN[library])] = value
    return converted


def _blocks(state: State, pattern: str) -> list[str]:
    """Return the different names that a pattern finds in the keys, in their order."""
    return list(dict.fromkeys(m[1] for key in state if (m := re.match(pattern, key))))


_CONVERSIONS: dict[str, Callable[[State, str], State]] = {
    'ResNet': _resnet,
    'MobileNetV2': _mobilenet_v2,
    'EfficientNet': _efficientnet,
    'ConvNeXt': _convnext,
    'Vision Transformer': _vision_transformer,
    'Swin Transformer': _swin_transformer,
}
