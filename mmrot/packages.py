"""The two families of packages that provide mmengine, mmcv, mmpretrain, mmdet and mmseg."""

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

OPENMMLAB = "OpenMMLab's own packages"
FORKS = 'the maintained forks of OpenMMLab'
# Family: {module: distributions that provide it}
DISTRIBUTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    OPENMMLAB: {
        'mmengine': ('mmengine',),
        'mmcv': ('mmcv', 'mmcv-lite'),
        'mmpretrain': ('mmpretrain',),
        'mmdet': ('mmdet',),
        'mmseg': ('mmsegmentation',),
    },
    FORKS: {
        'mmengine': ('onedl-mmengine',),
        'mmcv': ('onedl-mmcv',),
        'mmpretrain': ('onedl-mmpretrain',),
        'mmdet': ('onedl-mmdetection',),
        'mmseg': ('onedl-mmsegmentation',),
    },
}


def names_of_all() -> list[str]:
    """Return the names of the distributions of both families."""
    groups = [group for modules in DISTRIBUTIONS.values() for group in modules.values()]
    return [name for group in groups for name in group]


def installed(names: Iterable[str]) -> list[Distribution]:
    """Return those of some distributions that are installed."""
    found = []
    for name in names:
        try:
            found.append(distribution(name))
        except PackageNotFoundError:
            continue
    return found


def installed_families() -> dict[str, list[str]]:
    """Return the families of which packages are installed, with names and versions."""
    found = {
        family: installed(name for names in modules.values() for name in names)
        for family, modules in DISTRIBUTIONS.items()
    }
    return {
        family: [f'{dist.name} {dist.version}' for dist in dists]
        for family, dists in found.items()
        if dists
    }


def shared_folders() -> dict[str, list[str]]:
    """Return the modules that several installed distributions have written to the same folder.

    pip lets them overwrite each other's files.

    Returns:
        The names of the distributions per module, for example
        ``{'mmcv': ['mmcv-lite', 'onedl-mmcv']}``.
    """
    found = {}
    for module in DISTRIBUTIONS[FORKS]:
        dists = installed(name for family in DISTRIBUTIONS.values() for name in family[module])
        if len(dists) > 1:  # reading the lists of files takes longer
            owners: dict[str, list[str]] = {}
            for dist in dists:
                if any(file.parts[0] == module for file in dist.files or ()):
                    owners.setdefault(str(dist.locate_file(module)), []).append(dist.name)
            for names in owners.values():
                if len(names) > 1:
                    found[module] = names
    return found


def shared_folders_message() -> str:
    """Describe the modules that several distributions own and the remedy, or return ''."""
    if not (shared := shared_folders()):
        return ''
    owners = [f'{" and ".join(names)} share the folder {name}' for name, names in shared.items()]
    names = [name for names in shared.values() for name in names]
    return (
        f'{", ".join(owners)} and have overwritten files of each other. Uninstall them, then '
        f'reinstall one family: pip uninstall -y {" ".join(names)} && pip install -r '
        'requirements.txt, or -r requirements-upstream.txt for the packages of OpenMMLab itself.'
    )
