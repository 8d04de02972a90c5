"""Imports between the packages of mmrot run one way."""

import ast
from pathlib import Path

import mmrot

ROOT = Path(mmrot.__file__).parent
# From the top down: a package may import those below it.
LAYERS = (
    {'cli'},
    {'apis'},
    {'engine'},
    {'results', 'visualization', 'detection', 'segmentation'},
    {'weights'},
    {'evaluation', 'models', 'datasets'},
    {'archive', 'rotation', 'registry', 'config'},
    {'errors', 'files', 'packages', 'version'},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_packages(path: Path) -> set[str]:
    """The packages of mmrot that a module imports, by absolute or relative names."""
    here = ['mmrot', *path.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = here[: len(here) - node.level + 1]
            names = ['.'.join([*package, *filter(None, [node.module])])]
            if names == ['mmrot']:
                names = [f'mmrot.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == 'mmrot':
            names = [f'mmrot.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        found |= {name.split('.')[1] for name in names if name.startswith('mmrot.')}
    return found


def modules() -> list[Path]:
    skipped = {ROOT / 'configs', ROOT / '.mim'}  # links to configs/ and tools/
    return [path for path in ROOT.rglob('*.py') if not skipped & set(path.parents)]


def test_every_package_has_a_layer():
    packages = {path.relative_to(ROOT).parts[0].removesuffix('.py') for path in modules()}
    assert packages - {'__init__'} == set(RANK)


def test_imports_run_downwards():
    upward = []
    for path in modules():
        package = path.relative_to(ROOT).parts[0].removesuffix('.py')
        if package == '__init__':  # mmrot itself offers what is below it
            continue
        for name in imported_packages(path) & set(RANK):
            if name != package and RANK[name] <= RANK[package]:
                upward.append(f'{path.relative_to(ROOT)} imports mmrot.{name}')
    assert upward == []
