"""What tools/convert.py does with files: read, convert, verify, write."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrot.errors import UserError
from mmrot.version import __version__

from .absorb_bn import absorb_bn, norm_eps
from .checkpoint import load_checkpoint, sha256
from .export import export_backbone
from .foreign import guess_format, import_rotnet
from .fully_convolutional import fully_convolutional
from .images import list_images, read_images
from .network import network_config
from .rescale import rescale
from .state_dict import load_backbone, split_backbone, state_dict_of


def convert_backbone(
    source: str, out: str, style: str = 'mmrot', config: str | None = None, trust: bool = False
) -> Path:
    """Take the backbone out of a pretraining checkpoint, verify and write it.

    Args:
        source (str): Checkpoint of pretraining, or a bare backbone.
        out (str): Where to write, see :func:`write_weights`.
        style (str): See :func:`mmrot.weights.export_backbone`.
        config (str, optional): Of the pretraining, which is run: the file, or a
            name such as ``'mmrot::rotnet/alexnet_in1k.py'``. Needed of other
            networks than AlexNet, NIN and ResNet, which the keys tell.
        trust (bool): See :func:`mmrot.weights.checkpoint.load_checkpoint`.

    Returns:
        Path: The file that was written.

    Raises:
        UserError: If the weights do not fit the network, or it is another one
            and there is no config.
    """
    _check_out(out)
    state = _read(source, trust)
    weights = export_backbone(state, style)
    before, rest = split_backbone(state)
    network = build(weights, Config.fromfile(config).model.backbone if config else None)
    _account(before, weights, rest)
    if style in ('torchvision', 'timm'):
        _compare_with_torchvision(network, weights)
    return write_weights(weights, out, source, f'backbone, names of {style}')


def convert_absorb_bn(
    source: str, out: str, eps: float | None = None, trust: bool = False
) -> Path:
    """Absorb the batch norms of AlexNet or NIN, verify and write it.

    The network without batch norm must give the same outputs within 1e-5,
    relative to the largest one.

    Args:
        source (str): Checkpoint of pretraining, or a bare backbone.
        out (str): Where to write, see :func:`write_weights`.
        eps (float, optional): Of the batch norms, which the weights do not tell.
            Defaults to PyTorch's, 1e-5.
        trust (bool): See :func:`mmrot.weights.checkpoint.load_checkpoint`.

    Returns:
        Path: The file that was written.

    Raises:
        UserError: If it is another network, or was trained with another eps.
    """
    _check_out(out)
    checkpoint = load_checkpoint(source, trust=trust)
    # half precision would lose in the products what batch norm kept
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state_dict_of(checkpoint, source).items()
    }
    if eps is None:
        eps = norm_eps(checkpoint, source)
    before = build(split_backbone(state)[0])
    for module in before.modules():
        if isinstance(module, _BatchNorm):
            module.eps = eps
    weights = absorb_bn(state, eps)
    _account(state, weights, {})
    after = build(split_backbone(weights)[0])
    images = _noise(before)
    expected, got = before(images)[-1], after(images)[-1]
    error = ((expected - got).abs().max() / expected.abs().max()).item()
    if not error < 1e-5:
        raise UserError(
            f'{source}: without batch norm the outputs differ by {error:.1e}, relative'
        )
    print_log(
        f'With eps {eps:g} the outputs before and after differ by {error:.1e}, relative',
        logger='current',
    )
    return write_weights(weights, out, source, 'batch norm absorbed')


def convert_rescale(
    source: str, out: str, images: str, count: int = 64, seed: int = 0, trust: bool = False
) -> Path:
    """Rescale a network that absorbed its batch norms, verify and write it.

    Args:
        source (str): Checkpoint of a network without batch norm.
        out (str): Where to write, see :func:`write_weights`.
        images (str): Folder of photographs.
        count (int): How many of them to take, spread evenly.
        seed (int): See :func:`mmrot.weights.rescale`.
        trust (bool): See :func:`mmrot.weights.checkpoint.load_checkpoint`.

    Returns:
        Path: The file that was written.

    Raises:
        UserError: If there is batch norm, or another network.
    """
    _check_out(out)
    backbone, rest = split_backbone(_read(source, trust))
    before = build(backbone)
    batch = read_images(list_images(images), network_config(backbone)['type'], count)
    weights = rescale(backbone, batch, seed=seed)
    _account(backbone, weights, rest)
    expected, got = before(batch)[-1], build(weights)(batch)[-1]
    factor = (got.norm() / expected.norm()).item()
    error = ((expected * factor - got).abs().max() / got.abs().max()).item()
    if not error < 1e-4:
        raise UserError(f'{source}: rescaled outputs differ by more than a factor: {error:.1e}')
    print_log(
        f'The outputs are those from before times {factor:.4g}, within {error:.1e} relative',
        logger='current',
    )
    return write_weights(weights, out, source, f'rescaled on {len(batch)} images')


def convert_fully_convolutional(source: str, out: str, trust: bool = False) -> Path:
    """Turn AlexNet's fc6 and fc7 into convolutions, verify and write it.

    On 224×224 the fully convolutional network must give fc7 at its one position.

    Args:
        source (str): Checkpoint of pretraining, or a bare backbone.
        out (str): Where to write, see :func:`write_weights`.
        trust (bool): See :func:`mmrot.weights.checkpoint.load_checkpoint`.

    Returns:
        Path: The file that was written.

    Raises:
        UserError: If it is another network.
    """
    _check_out(out)
    backbone, rest = split_backbone(_read(source, trust))
    before = build(backbone)
    weights = fully_convolutional(backbone)
    _account(backbone, weights, rest)
    images = _noise(before)
    got = build(weights)(images)[-1]
    torch.testing.assert_close(got.flatten(1), before(images)[-1].flatten(1), rtol=1e-4, atol=1e-5)
    return write_weights(weights, out, source, 'fully convolutional')


def convert_import(source: str, out: str, fmt: str = 'auto', trust: bool = False) -> Path:
    """Import a RotNet of another code base, verify and write it.

    Args:
        source (str): The file.
        out (str): Where to write, see :func:`write_weights`.
        fmt (str): See :func:`mmrot.weights.import_rotnet`; ``'auto'`` tells
            it from the keys.
        trust (bool): See :func:`mmrot.weights.checkpoint.load_checkpoint`.

    Returns:
        Path: The file that was written.

    Raises:
        UserError: If it is not a RotNet in one of the formats.
    """
    _check_out(out)
    checkpoint = load_checkpoint(source, trust=trust)
    fmt = guess_format(checkpoint) if fmt == 'auto' else fmt
    weights, left_out = import_rotnet(checkpoint, fmt)
    backbone, head = split_backbone(weights)
    network = build(backbone)
    features = network(_noise(network))[-1]
    print_log(f'Imported {len(weights)} keys as {fmt}', logger='current')
    if network_config(backbone)['type'] == 'mmpretrain.ResNet':
        _compare_with_torchvision(network, backbone)
    if 'head.fc.weight' not in head:
        print_log('The file has no head: only the backbone is there', logger='current')
    elif head['head.fc.weight'].shape[1] != features.shape[1]:
        raise UserError(
            f'{source}: the head takes {head["head.fc.weight"].shape[1]} features, the backbone '
            f'gives {features.shape[1]}'
        )
    if left_out:
        print_log(f'Left out: {", ".join(left_out)}', logger='current')
    return write_weights(weights, out, source, f'imported from {fmt}')


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Let every error of a conversion name the file that it is about.

    Args:
        source (str): The file.

    Raises:
        UserError: In place of what the weights in it led to.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, ValueError) and source in str(error):
            raise
        raise UserError(f'{source}: {error}') from error


def build(backbone: dict[str, Tensor], config: dict | None = None) -> nn.Module:
    """Build the network that weights belong to, and load every key.

    Args:
        backbone (dict[str, Tensor]): Of a bare backbone.
        config (dict, optional): Of the network, by default told by the keys.

    Returns:
        nn.Module: In eval mode, without gradients.

    Raises:
        UserError: If a key is missing, misfits or has no place.
    """
    config = config or network_config(backbone)
    network = MODELS.build(config)
    if load_backbone(network, backbone, 'the checkpoint'):
        unknown = sorted(set(backbone) - set(network.state_dict()))
        raise UserError(f'no place in {config["type"]} for {", ".join(unknown[:5])}')
    network.eval()
    return network.requires_grad_(False)


def write_weights(weights: dict[str, Tensor], out: str, source: str, what: str) -> Path:
    """Write weights with where they come from, under a name with their hash.

    Args:
        weights (dict[str, Tensor]): What becomes ``state_dict``.
        out (str): ``DIR/NAME.pth`` is written as ``DIR/NAME-<8 digits>.pth``, the
            beginning of the file's sha256, as mmengine publishes checkpoints.
        source (str): The file that was converted; its name and hash go to
            ``meta``.
        what (str): The conversion, for ``meta``.

    Returns:
        Path: The file.
    """
    path, file = _check_out(out), Path(source).expanduser()
    meta = dict(
        conversion=what,
        source=file.name,
        source_sha256=sha256(file) if file.is_file() else None,  # None of an address
        mmrot_version=__version__,
        torch_version=str(torch.__version__),
        python_version=platform.python_version(),
    )
    temporary = path.with_name(f'.{path.name}.tmp')
    weights = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
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


def _read(source: str, trust: bool) -> dict[str, Tensor]:
    return state_dict_of(load_checkpoint(source, trust=trust), source)


def _account(before: dict[str, Tensor], after: dict[str, Tensor], rest: dict[str, Tensor]) -> None:
    """Say what became of every key."""
    gone = [*(set(before) - set(after)), *rest]
    print_log(
        f'{len(after)} keys written' + (f'; left out: {", ".join(sorted(gone))}' if gone else ''),
        logger='current',
    )


def _noise(network: Any) -> Tensor:
    """Images of the size that a network takes, the same every time."""
    size = 32 if type(network).__name__ == 'NIN' else 224
    generator = torch.Generator().manual_seed(0)
    return torch.randn((4, 3, size, size), generator=generator)


def _compare_with_torchvision(network: Any, weights: dict[str, Tensor]) -> None:
    """Compare mmpretrain's ResNet with torchvision's, whose names timm has too.

    Raises:
        UserError: If torchvision's does not take the weights, or gives other
            outputs.
    """
    from torchvision import models

    theirs = getattr(models, f'resnet{network.depth}')(weights=None)
    theirs.fc = nn.Identity()
    theirs.load_state_dict(weights)
    theirs.eval()
    images = _noise(network)
    with torch.no_grad():
        expected = network(images)[-1].mean((2, 3))
        torch.testing.assert_close(theirs(images), expected, rtol=1e-4, atol=1e-5)
    print_log('torchvision computes the same with them', logger='current')
