"""The datasets of a config, read as in testing."""

from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from mmrot.errors import UserError

from .runner import Runner


def build_split(cfg: Config, split: str) -> Dataset:
    """Build a dataset of a config with the test pipeline.

    Args:
        cfg: Config with ``<split>_dataloader``; training data use the pipeline of
            ``test_dataloader``. Modified in place.
        split: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        UserError: If there is no such dataset or it has no images.
    """
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise UserError(f'The config has no {split}_dataloader.')
    if split == 'train':
        if cfg.get('test_dataloader') is None:
            raise UserError('The config has no test_dataloader to take the pipeline from.')
        innermost(loader).dataset.pipeline = innermost(cfg.test_dataloader).dataset.pipeline
    return build_dataset(loader.dataset, cfg.get('default_scope'))


def build_dataset(dataset: dict[str, Any], scope: str | None) -> Dataset:
    """Build a dataset that is not empty.

    Args:
        dataset: Config of the dataset.
        scope: ``default_scope`` of the config.

    Raises:
        UserError: If the dataset is empty.
    """
    sampler = dict(type='mmengine.DefaultSampler', shuffle=False)
    with DefaultScope.overwrite_default_scope(scope):
        return Runner.build_dataloader(
            dict(dataset=dataset, batch_size=1, num_workers=0, sampler=sampler)
        ).dataset


def build_unwrapped(cfg: Config, split: str, dataset: dict[str, Any] | None = None) -> Dataset:
    """Build a dataset without wrappers and with the test pipeline.

    Args:
        cfg: Config with ``test_dataloader`` or ``val_dataloader``.
        split: ``'train'``, or ``'test'`` for the data of that dataloader.
        dataset: Config of a dataset to build instead of the config's. A pipeline of its own is
            kept.

    Raises:
        UserError: If the config has no such data, or they are empty.
    """
    tested = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if tested is None:
        raise UserError('The config has neither test_dataloader nor val_dataloader.')
    tested = innermost(tested).dataset
    pipeline = dict(pipeline=tested.get('pipeline', []))
    if dataset is not None:
        dataset = {**pipeline, **dataset}
    else:
        own = innermost(cfg.train_dataloader).dataset if split == 'train' else tested
        dataset = {**own, **pipeline}
    return build_dataset(dataset, cfg.get('default_scope'))


def innermost(loader: ConfigDict) -> ConfigDict:
    """Return the part of a dataloader's config that holds the innermost dataset."""
    while 'dataset' in loader.dataset:
        loader = loader.dataset
    return loader


def preprocessor_config(cfg: Config) -> dict[str, Any]:
    """Return a preprocessor config with the same normalisation as a config, but no rotation."""
    return dict(type='mmpretrain.ClsDataPreprocessor', **normalisation(cfg))


def normalisation(cfg: Config) -> dict[str, Any]:
    """Return the arguments of a config's data preprocessor that concern pixel values."""
    own = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    return {key: own[key] for key in ('mean', 'std', 'to_rgb') if key in own}
