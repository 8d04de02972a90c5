"""Find parts of a config."""

from collections.abc import Iterator
from types import UnionType
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, Registry

from mmrot.registry import resolve_type

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def innermost_datasets(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    """Yield each dataloader's name and the part of it that holds the innermost dataset."""
    for field in DATALOADERS:
        if cfg.get(field) is not None:
            holder = cfg[field]
            while 'dataset' in holder.dataset:
                holder = holder.dataset
            yield field, holder


def class_of(cfg: Config, registry: Registry, part: ConfigDict | None) -> Any:
    """Return the class of part of a config in the config's scope, None for no part."""
    if part is None:
        return None
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return resolve_type(registry, part)


def is_a(cfg: Config, registry: Registry, part: ConfigDict | None, base: type | UnionType) -> bool:
    """Return whether the ``type`` of part of a config is a class or one of its subclasses."""
    kind = class_of(cfg, registry, part)
    return isinstance(kind, type) and issubclass(kind, base)
