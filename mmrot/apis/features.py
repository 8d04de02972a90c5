"""Extract features of a config's dataset or of a folder of photos."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import set_random_seed
from torch import nn

from mmrot.engine.evaluation_data import build_split, innermost, preprocessor_config
from mmrot.engine.held_log import without_log
from mmrot.errors import UserError
from mmrot.evaluation.features import Features, Pool, extract_dataset
from mmrot.models.backbones import output_names
from mmrot.weights.checkpoint import load_checkpoint, sha256
from mmrot.weights.state_dict import load_backbone, split_backbone, state_dict_of

from .data_changes import with_image_folder

RANDOM = 'random'


def extract_features(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path | None = None,
    split: str = 'test',
    image_folder: str | None = None,
    stages: str | int | Sequence[str | int] | None = None,
    pool: Pool | Mapping[str, Pool] | None = None,
    trust: bool = False,
) -> Features:
    """Extract image features with a pretrained backbone.

    Each image passes through the test pipeline of the config once, in dataset order.
    In a distributed job, the images are split between the processes.

    Args:
        config: Pretraining or classification config, or its path. Its
            ``randomness.seed``, 0 by default, seeds a random backbone.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        out: Folder for ``<stage>.npy`` and ``images.csv``, see
            :func:`mmrot.evaluation.features.extract_dataset`. None keeps the
            features in memory.
        split: ``'train'``, ``'val'`` or ``'test'`` data of the config.
        image_folder: Folder of photos instead of the config's data, nested
            folders included.
        stages: One or several stages, by name or by index in ``out_indices``. The
            names are those of the config's probes, of the outputs of
            :class:`mmrot.AlexNet`, :class:`mmrot.NIN` and :class:`mmrot.ResNet`, or
            ``stage<index>``. Negative indices count from the last output of the
            config's backbone. Defaults to these outputs.
        pool: ``'avg'`` for global average pooling, an integer to pool to about that
            many elements, or a dict from stage to either of these or to arguments of
            ``avg_pool2d``. Defaults to ``pools`` of the config, or ``'avg'``.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run
            code.

    Returns:
        Features, file names and labels. The features are memory-mapped if ``out`` is
        given.

    Raises:
        UserError: If a stage does not exist, also in ``pool``, the checkpoint does not match the
            backbone, or the folder contains other features.
    """
    cfg, probes = open_config(config, image_folder)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = build_split(cfg, split)
        backbone, names, _, origin = build_backbone(cfg, str(checkpoint), stages, probes, trust)
        preprocessor = preprocessor_config(cfg)
        loader = cfg[f'{split}_dataloader']
        if pool is None:
            pool = cfg.get('pools') or 'avg'
        elif isinstance(pool, Mapping) and (unknown := sorted(set(pool) - set(names))):
            raise UserError(
                f'pool has {unknown[0]}, which is not one of the stages, {", ".join(names)}.'
            )
        pools = {
            name: pool.get(name, 'avg') if isinstance(pool, Mapping) else pool for name in names
        }
        source = {
            **origin,
            'backbone': cfg.model.backbone,
            'data_preprocessor': preprocessor,
            'pipeline': innermost(loader).dataset.get('pipeline'),
            'pools': pools,
        }
        return extract_dataset(
            backbone.to(get_device()),
            MODELS.build(preprocessor).to(get_device()),
            dataset,
            pools,
            batch_size=loader.batch_size,
            num_workers=loader.get('num_workers', 0),
            folder=out,
            # normalised to what JSON reads back
            source=json.loads(json.dumps(source, default=str)),
        )


def open_config(
    config: str | Path | Config, image_folder: str | None = None
) -> tuple[Config, list[str]]:
    """Return a copy of a config for a frozen backbone, and the names of its probes, if any.

    Args:
        config: Config or its path.
        image_folder: Folder of photos instead of the config's data.
    """
    cfg = copy.deepcopy(config) if isinstance(config, Config) else Config.fromfile(config)
    probes = list((cfg.model.get('head') or {}).get('probes') or ())
    if image_folder is not None:
        cfg.train_dataloader = None
        cfg.model.head = None  # needs labels if it is a probe
        cfg = with_image_folder(cfg, image_folder, image_folder)
    return cfg, probes


def build_backbone(
    cfg: Config,
    checkpoint: str,
    stages: str | int | Sequence[str | int] | None,
    probes: Sequence[str],
    trust: bool,
) -> tuple[nn.Module, list[str], list[str], dict[str, str]]:
    """Build a backbone that outputs the given stages, and load its weights.

    Args:
        cfg: Config.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        stages: See :func:`extract_features`.
        probes: Names of the probes of the config; outputs with a probe have its name.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Returns:
        The backbone, the names of its outputs, the same in the order of ``stages``, and
        where its weights come from.
    """
    config = cfg.model.backbone
    config.pop('frozen_stages', None)  # nothing is trained
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    set_random_seed(seed)
    backbone = MODELS.build(config)
    chosen = outputs = output_names(backbone)
    probe_of = dict(zip(outputs, probes, strict=True)) if len(probes) == len(outputs) else {}
    if stages is not None:
        stages = [stages] if isinstance(stages, str | int) else stages
        chosen = list(
            dict.fromkeys(_output(stage, backbone, outputs, probe_of) for stage in stages)
        )
        if hasattr(backbone, 'all_outputs'):
            config.out_indices = sorted(chosen, key=backbone.all_outputs.index)
        else:
            config.out_indices = sorted(int(name.removeprefix('stage')) for name in chosen)
        set_random_seed(seed)
        try:
            backbone = MODELS.build(config)
        except (AssertionError, ValueError, IndexError) as error:
            raise UserError(
                f'{type(backbone).__name__} has no stages {", ".join(map(str, stages))}: {error}'
            ) from error
    if checkpoint == RANDOM:
        with without_log():
            backbone.init_weights()
        origin = {'checkpoint': RANDOM, 'seed': str(seed)}
    else:
        state, _ = split_backbone(
            state_dict_of(load_checkpoint(checkpoint, trust=trust), checkpoint)
        )
        load_backbone(backbone, state, f'checkpoint {checkpoint}')
        origin = {'checkpoint': sha256(checkpoint) if Path(checkpoint).is_file() else checkpoint}
    names, chosen = (
        [probe_of.get(name, name) for name in found] for found in (output_names(backbone), chosen)
    )
    return backbone, names, chosen, origin


def _output(
    stage: str | int, backbone: nn.Module, outputs: Sequence[str], probe_of: Mapping[str, str]
) -> str:
    """Return the name of the output that a stage stands for, see :func:`output_names`."""
    known = getattr(backbone, 'all_outputs', outputs)
    by_probe = {probe: output for output, probe in probe_of.items()}
    if stage in by_probe:
        return by_probe[str(stage)]
    if stage in known:
        return str(stage)
    if match := re.fullmatch(r'(?:stage)?(\d+)|(-\d+)', str(stage)):
        index = int(match[1] or match[2])
        if index >= 0 and not hasattr(backbone, 'indexed_outputs'):
            return f'stage{index}'  # the backbone knows whether it exists
        indexed = outputs if index < 0 else backbone.indexed_outputs
        if -len(indexed) <= index < len(indexed):
            return indexed[index]
    names = ', '.join(dict.fromkeys([*by_probe, *known]))
    raise UserError(
        f'{type(backbone).__name__} has no stage {stage}: expected {names}, or an index in '
        'out_indices.'
    )
