"""Convert checkpoint files: read, convert, verify, write.

All conversions share three arguments: ``source`` is the path of the checkpoint; ``out`` is the
path to write, where ``NAME.pth`` becomes ``NAME-<first 8 digits of its SHA-256>.pth``, as for
mmengine's published checkpoints; ``trust`` allows the checkpoint to run code while it is loaded.
They return the path that was written, and raise a UserError if the network is not supported or
verification fails.
"""

import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrot.config import read_config
from mmrot.datasets import ImageFolder
from mmrot.errors import UserError, prefix_errors
from mmrot.models import NIN
from mmrot.version import __version__

from .absorb_bn import absorb_bn, check_norm_eps
from .checkpoint import load_checkpoint, sha256
from .checkpoint_config import checkpoint_config
from .digest import SHA256, weights_sha256
from .export import export_backbone
from .fold_std import PIXEL_STD, fold_std
from .foreign import guess_format, import_rotnet
from .fully_convolutional import fully_convolutional
from .images import read_images, sample_paths
from .library_names import (
    LIBRARIES,
    build_torchvision_network,
    keys_left_out,
    network_family,
)
from .network import build_network, network_config
from .rescale import rescale
from .state_dict import split_backbone, state_dict_of

_STD_FOLDED = 'pixel std folded into conv1'

# State dict to write, keys that were left out, and a description of the conversion.
Converted = tuple[dict[str, Tensor], Iterable[str], str]


def convert_backbone(
    source: str, out: str, style: str = 'mmrot', config: str | None = None, trust: bool = False
) -> Path:
    """Extract the backbone from a pretraining checkpoint.

    The network must take all weights. With the names of torchvision, its network must compute the
    same features.

    Args:
        source: Pretraining checkpoint, or a bare backbone.
        out: File to write.
        style: Library whose names the keys get, see :func:`mmrot.weights.export_backbone`.
        config: Pretraining config, which is executed: a file or a name such as
            ``'rotnet/alexnet_in1k.py'``. Required for networks other than AlexNet, NIN and ResNet
            if the checkpoint does not contain it.
        trust: Whether to unpickle arbitrary objects.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        found, rest = split_backbone(state_dict_of(checkpoint, source))
        weights = export_backbone(found, style)
        # a bare ResNet may have a classifier
        backbone = weights if network_family(weights) == 'ResNet' else found
        network = build_network(backbone, _backbone_config(checkpoint, backbone, source, config))
        family = network_family(backbone)
        if style == 'torchvision' or (style, family) == ('timm', 'ResNet'):  # the same names
            _compare_with_torchvision(network, weights)
        elif style not in ('mmrot', 'timm') and family != 'ResNet':
            _check_host(network, style)
        left_out = keys_left_out(found, style) if style in LIBRARIES else []
        return weights, [*rest, *left_out], f'backbone, names of {style}'

    return _convert(source, out, trust, transform)


def convert_absorb_bn(
    source: str, out: str, eps: float | None = None, trust: bool = False
) -> Path:
    """Absorb the batch norms of AlexNet or NIN.

    The outputs must stay the same within 1e-5, relative to the largest one.

    Args:
        source: Pretraining checkpoint, or a bare backbone.
        out: File to write.
        eps: Epsilon of the batch norms. Defaults to PyTorch's 1e-5. Required if the config in the
            checkpoint sets a different one.
        trust: Whether to unpickle arbitrary objects.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        if eps is None:
            check_norm_eps(checkpoint, source)
        epsilon = 1e-5 if eps is None else eps
        # the products of many layers need more than half precision
        state = {
            key: value.float() if value.is_floating_point() else value
            for key, value in state_dict_of(checkpoint, source).items()
        }
        before = build_network(split_backbone(state)[0])
        for module in before.modules():
            if isinstance(module, _BatchNorm):
                module.eps = epsilon
        weights = absorb_bn(state, epsilon)
        after = build_network(split_backbone(weights)[0])
        images = _noise(before)
        _check_outputs('without batch norm', before(images)[-1], after(images)[-1], 1e-5)
        return weights, state.keys() - weights, 'batch norm absorbed'

    return _convert(source, out, trust, transform)


def convert_rescale(
    source: str, out: str, images: str, count: int = 80, seed: int = 0, trust: bool = False
) -> Path:
    """Rescale the backbone of a network without batch norm.

    The outputs must stay the same up to one factor, within 1e-4.

    Args:
        source: Checkpoint of an AlexNet or NIN whose batch norms have been absorbed.
        out: File to write.
        images: Folder of photos.
        count: Number of photos to use, spread evenly over the folder.
        seed: Seed of the crops and the random gradients, see :func:`mmrot.weights.rescale`.
        trust: Whether to unpickle anything.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        backbone, rest = split_backbone(state_dict_of(checkpoint, source))
        paths = sample_paths(ImageFolder(data_root=images, pipeline=[]), count)
        batch = read_images(
            paths, network_config(backbone)['type'], takes_raw_pixels(checkpoint), seed
        )
        weights = rescale(backbone, batch, seed)
        before, after = (build_network(state)(batch)[-1] for state in (backbone, weights))
        factor = (after.norm() / before.norm()).item()
        _check_outputs(f'scaled by {factor:.4g}', before * factor, after, 1e-4)
        return weights, rest, f'rescaled on {len(batch)} images'

    return _convert(source, out, trust, transform)


def convert_fold_std(source: str, out: str, trust: bool = False) -> Path:
    """Fold the standard deviation of pixels into AlexNet's conv1.

    On pixels that are not divided by it, the features must be the same within 1e-5.

    Args:
        source: Checkpoint of pretraining, or a bare backbone.
        out: File to write.
        trust: Whether to unpickle anything.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        if takes_raw_pixels(checkpoint):
            raise UserError('the standard deviation of pixels is already folded into conv1.')
        backbone, rest = split_backbone(state_dict_of(checkpoint, source))
        before, weights = build_network(backbone), fold_std(backbone)
        images = _noise(before)
        raw = images * torch.tensor(PIXEL_STD)[:, None, None]
        expected, got = before(images)[-1], build_network(weights)(raw)[-1]
        _check_outputs('on raw pixels', expected, got, 1e-5)
        return weights, rest, _STD_FOLDED

    return _convert(source, out, trust, transform)


def takes_raw_pixels(checkpoint: dict[str, Any]) -> bool:
    """Return whether :func:`convert_fold_std` wrote a checkpoint, or a file that it comes from."""
    return _STD_FOLDED in str((checkpoint.get('meta') or {}).get('conversion', ''))


def convert_fully_convolutional(source: str, out: str, trust: bool = False) -> Path:
    """Convert AlexNet's fc6 and fc7 to convolutions.

    On 224×224 pixels, the only position of fc7 must have the same features within 1e-4.

    Args:
        source: Pretraining checkpoint, or a bare backbone.
        out: File to write.
        trust: Whether to unpickle arbitrary objects.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        backbone, rest = split_backbone(state_dict_of(checkpoint, source))
        before, weights = build_network(backbone), fully_convolutional(backbone)
        images = _noise(before)
        expected, got = (net(images)[-1].flatten(1) for net in (before, build_network(weights)))
        _check_outputs('fully convolutional', expected, got, 1e-4)
        return weights, rest, 'fully convolutional'

    return _convert(source, out, trust, transform)


def convert_import(source: str, out: str, fmt: str = 'auto', trust: bool = False) -> Path:
    """Import a RotNet from another code base.

    The network must take all weights. torchvision's ResNet must compute the same features.

    Args:
        source: Checkpoint of the authors, MMSelfSup or VISSL.
        out: File to write.
        fmt: Format, see :func:`mmrot.weights.import_rotnet`, or ``'auto'`` to detect it.
        trust: Whether to unpickle arbitrary objects.
    """

    def transform(checkpoint: dict[str, Any]) -> Converted:
        found = guess_format(checkpoint) if fmt == 'auto' else fmt
        weights, left_out = import_rotnet(checkpoint, found)
        backbone, head = split_backbone(weights)
        network = build_network(backbone)
        features = network(_noise(network))[-1].shape[1]
        if network_config(backbone)['type'] == 'mmpretrain.ResNet':
            _compare_with_torchvision(network, backbone)
        if 'head.fc.weight' not in head:
            print_log('The file has no head; only the backbone is imported', logger='current')
        elif head['head.fc.weight'].shape[1] != features:
            raise UserError(
                f'the head expects {head["head.fc.weight"].shape[1]} features, the backbone has '
                f'{features}.'
            )
        return weights, left_out, f'imported from {found}'

    return _convert(source, out, trust, transform)


def _convert(
    source: str, out: str, trust: bool, transform: Callable[[dict[str, Any]], Converted]
) -> Path:
    """Read a file, convert and verify its content, report every key, and write the result."""
    path = _check_out(out)
    checkpoint = load_checkpoint(source, trust=trust)
    with prefix_errors(source):
        weights, left_out, what = transform(checkpoint)
    earlier = (checkpoint.get('meta') or {}).get('conversion')
    what = f'{earlier}; {what}' if earlier else what
    dropped = ', '.join(sorted(left_out))
    print_log(
        f'{what}: {len(weights)} keys written' + f'; left out: {dropped}' * bool(dropped),
        logger='current',
    )
    return write_weights(weights, str(path), source, what)


def write_weights(weights: dict[str, Tensor], out: str, source: str, what: str) -> Path:
    """Write weights and their origin to a file whose name contains its hash.

    Args:
        weights: State dict to write.
        out: ``DIR/NAME.pth``, written as ``DIR/NAME-<first 8 digits of its SHA-256>.pth``.
        source: File that was converted; its name and hash are stored in ``meta``.
        what: Description of the conversion, for ``meta``.

    Returns:
        Path of the file.
    """
    path, file = _check_out(out), Path(source).expanduser()
    meta = dict(
        conversion=what,
        source=file.name,
        source_sha256=sha256(file) if file.is_file() else None,  # None for an address
        mmrot_version=__version__,
        torch_version=str(torch.__version__),
        python_version=platform.python_version(),
    )
    temporary = path.with_name(f'.{path.name}.tmp')
    weights = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    meta[SHA256] = weights_sha256(weights)
    try:
        torch.save(dict(meta=meta, state_dict=weights), temporary)
        final = path.with_name(f'{path.stem}-{sha256(temporary)[:8]}.pth')
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _check_out(out: str) -> Path:
    path = Path(out)
    if path.suffix != '.pth':
        raise UserError(f'{out}: expected a file name that ends in .pth')
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _check_outputs(what: str, expected: Tensor, got: Tensor, tolerance: float) -> None:
    """Raise an error unless outputs agree, relative to the largest one."""
    error = ((expected - got).abs().max() / expected.abs().max()).item()
    if not error < tolerance:
        raise UserError(f'{what}, the outputs differ by {error:.1e}, relative to the largest.')
    print_log(f'{what}, the outputs agree within {error:.1e}, relative', logger='current')


def _noise(network: nn.Module) -> Tensor:
    """Return fixed random images of the input size of a network."""
    size = 32 if isinstance(network, NIN) else 224
    generator = torch.Generator().manual_seed(0)
    return torch.randn((4, 3, size, size), generator=generator)


def _backbone_config(
    checkpoint: dict[str, Any], backbone: dict[str, Tensor], source: str, config: str | None
) -> dict[str, Any]:
    """Return the config of a backbone: the one passed, inferred, or in the checkpoint."""
    if config is not None:
        return read_config(config).model.backbone
    try:
        return network_config(backbone)
    except UserError:
        with suppress(UserError):
            return checkpoint_config(checkpoint, source).model.backbone
        raise


def _check_host(network: nn.Module, style: str) -> None:
    name, host = type(network).__name__, type(network).__module__.partition('.')[0]
    if host != style:
        raise UserError(
            f"the names of {host}'s {name} are not those of {style}. Use --style {host}, and the "
            f"network in {style} as type='{host}.{name}'."
        )


def _compare_with_torchvision(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Check that torchvision's network takes the weights and computes the same features."""
    theirs = build_torchvision_network(weights)
    images = _noise(network)
    with torch.no_grad():
        expected = network(images)[-1]
        if expected.ndim == 4:
            expected = expected.mean((2, 3))
        _check_outputs('in torchvision', expected, theirs(images).flatten(1), 1e-4)
