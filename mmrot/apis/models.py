import copy
import fnmatch
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.fileio import load
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import mmrot
from mmrot.config import read_config
from mmrot.errors import UserError
from mmrot.weights.checkpoint import load_checkpoint
from mmrot.weights.checkpoint_config import checkpoint_config
from mmrot.weights.state_dict import load_model, state_dict_of


def list_models(pattern: str | None = None) -> list[str]:
    """List the models that mmrot has a config for.

    Args:
        pattern: Shell-style pattern, matched as a prefix, as in mmpretrain.

    Returns:
        Sorted names for :func:`get_model`.

    Example:
        >>> list_models('rotnet_nin?_cifar')
        ['rotnet_nin3_cifar10', 'rotnet_nin4_cifar10', 'rotnet_nin5_cifar10']
    """
    return sorted(fnmatch.filter(_model_configs(), f'{pattern or ""}*'))


def get_model(
    config: str | Path | Config | None,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    trust: bool = False,
) -> nn.Module:
    """Build a model and load its weights.

    Args:
        config: Config or its path, a name from :func:`list_models` or
            ``mmrot.list_configs``; None for the config in the checkpoint, which is parsed without
            being executed.
        checkpoint: Checkpoint trained with this config; every key must match. None keeps the
            random initialisation.
        device: Device, such as ``'cuda:0'``; the CPU by default.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run code.

    Returns:
        Model in eval mode. As with mmpretrain's ``get_model``, its attribute ``_config`` is the
        config.

    Raises:
        UserError: If there is no such config, or the checkpoint does not match the model.

    Example:
        >>> model = get_model('rotnet_nin4_digits')
        >>> model.angles
        (0, 90, 180, 270)
    """
    if config is None and checkpoint is None:
        raise UserError('expected a config or a checkpoint that contains one.')
    content: dict[str, Any] = {}
    if checkpoint is not None:
        content = load_checkpoint(checkpoint, trust=trust)
    if config is None:
        cfg = checkpoint_config(content, f'checkpoint {checkpoint}')
    elif isinstance(config, Config):
        cfg = copy.deepcopy(config)
    else:
        cfg = read_config(_model_configs().get(str(config)) or str(config))
    if cfg.get('model') is None:
        raise UserError(f'{config} has no model.')
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', ConfigDict(cfg.data_preprocessor))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(cfg.model)
    if checkpoint is not None:
        state = state_dict_of(content, str(checkpoint))
        load_model(model, state, f'checkpoint {checkpoint}')
    model._config = cfg
    model._dataset_meta = (content.get('meta') or {}).get('dataset_meta') or {}
    model.to(device or 'cpu')
    model.eval()
    return model


def _model_configs() -> dict[str, str]:
    """Return the path of the config of each model in the metafiles, by name."""
    root = Path(mmrot.__file__).parent / '.mim'
    metafiles = load(root / 'model-index.yml')['Import']
    return {
        model['Name']: str(root / model['Config'])
        for metafile in metafiles
        for model in load(root / metafile)['Models']
    }
