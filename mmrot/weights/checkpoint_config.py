"""Read the config in a checkpoint without executing it."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, WEIGHT_INITIALIZERS, Registry

from mmrot.errors import UserError

_HOSTS = ('mmrot', 'mmpretrain', 'mmdet', 'mmseg')


def checkpoint_config(checkpoint: dict[str, Any], source: str) -> Config:
    """Return the config that a model was trained with.

    The text in the checkpoint is parsed, not executed: only assignments of literals and
    ``dict(key=value)`` are read, as mmengine writes them. A type names a class or function, which
    mmengine would import from any module; those of the model and of the test pipeline must be
    registered by mmrot, mmpretrain, mmdet or mmseg.

    Args:
        checkpoint: Content of the file.
        source: Name of the file, for errors.

    Returns:
        Config with at least ``model`` and the pipeline of the test data.

    Raises:
        UserError: If there is no config, or it uses types that are not registered.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    fields: dict[str, Any] = {}
    # found by mutating some texts
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.parse(text if isinstance(text, str) else '').body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                with suppress(ValueError, TypeError):
                    fields[node.targets[0].id] = ast.literal_eval(_DictCalls().visit(node.value))
    if not isinstance(fields.get('model'), dict):
        raise UserError(f'{source} contains no config. Pass the config it was trained with.')
    cfg = Config(fields)
    scope = cfg.get('default_scope') or 'mmengine'
    parts: list[tuple[Any, tuple[Registry, ...]]] = [
        (cfg.model, (MODELS, WEIGHT_INITIALIZERS)),
        (cfg.get('data_preprocessor'), (MODELS,)),
        (inference_pipeline(cfg), (TRANSFORMS,)),
    ]
    for part, registries in parts:
        for name, inner in _types(part, scope):
            if not any(_is_registered(registry, name, inner) for registry in registries):
                raise UserError(
                    f'the config in {source} has the type {name!r}, which is not registered by '
                    'mmrot, mmpretrain, mmdet or mmseg. Pass the config it was trained with.'
                )
    return cfg


def inference_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """Return the pipeline of a config's test data.

    Raises:
        UserError: If there is none.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset:  # wrappers
        dataset = dataset['dataset']
    if 'pipeline' not in dataset:
        raise UserError('the config has no test_dataloader.dataset.pipeline.')
    return dataset['pipeline']


class _DictCalls(ast.NodeTransformer):
    """Replace ``dict(key=value)`` with ``{'key': value}``, which is a literal."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
            keys = [None if name is None else ast.Constant(name) for name in names]
            return ast.Dict([*keys], [keyword.value for keyword in node.keywords])
        return node  # literal_eval refuses it


def _types(value: Any, scope: str) -> Iterator[tuple[Any, str]]:
    """Yield the types in nested dicts and lists, each with its enclosing scope."""
    if isinstance(value, dict):
        scope = value.get('_scope_', scope)
        if 'type' in value:
            yield value['type'], scope
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        yield from _types(item, scope)


def _is_registered(root: Registry, name: Any, scope: Any) -> bool:
    """Return whether a name is registered in the root registry or in that of a scope."""
    if not isinstance(name, str):
        return False
    before, _, key = name.rpartition('.')
    scope = before or scope
    if scope in _HOSTS:
        with suppress(ImportError):
            import_module(f'{scope}.registry')
    registries = [root] if scope == 'mmengine' or not before else []
    if scope in _HOSTS and scope in root.children:
        registries.append(root.children[scope])
    for registry in registries:
        registry.import_from_location()
        if key in registry.module_dict:
            return True
    return False
