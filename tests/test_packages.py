"""mmrot.packages in folders of hand-made distributions."""

import shutil
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from helpers import ROOT

from mmrot.packages import FORKS, OPENMMLAB, installed_families, shared_folders


def install(site: Path, name: str, module: str, *, editable: bool = False) -> None:
    """Write the metadata of a distribution and its only file."""
    folder = site / f'{name.replace("-", "_")}-9.9.dist-info'
    folder.mkdir(parents=True)
    (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n')
    file = f'__editable__.{name}.pth' if editable else f'{module}/__init__.py'
    (site / file).parent.mkdir(exist_ok=True)
    (site / file).touch()
    (folder / 'RECORD').write_text(f'{file},,\n{folder.name}/RECORD,,\n')


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of distributions, the only one that is searched."""
    monkeypatch.setattr('sys.path', [str(tmp_path / 'site')])
    return tmp_path / 'site'


def test_families_name_what_is_installed(site):
    assert installed_families() == {}
    install(site, 'onedl-mmengine', 'mmengine')
    install(site, 'mmcv-lite', 'mmcv')
    assert installed_families() == {OPENMMLAB: ['mmcv-lite 9.9'], FORKS: ['onedl-mmengine 9.9']}
    assert shared_folders() == {}


def test_distributions_of_one_folder_are_found(site):
    for name in ('mmcv', 'mmcv-lite', 'onedl-mmcv'):
        install(site, name, 'mmcv')
    install(site, 'mmsegmentation', 'mmseg')
    install(site, 'onedl-mmsegmentation', 'mmseg')
    assert shared_folders() == {
        'mmcv': ['mmcv', 'mmcv-lite', 'onedl-mmcv'],
        'mmseg': ['mmsegmentation', 'onedl-mmsegmentation'],
    }


@pytest.mark.parametrize('other', ['editable', 'elsewhere'])
def test_distributions_of_different_folders_share_none(other, site, tmp_path, monkeypatch):
    install(site, 'mmengine', 'mmengine', editable=other == 'editable')
    second = site
    if other == 'elsewhere':
        second = tmp_path / 'second'
        monkeypatch.setattr('sys.path', [str(site), str(second)])
    install(second, 'onedl-mmengine', 'mmengine')
    assert shared_folders() == {}


def test_import_warns_of_a_shared_folder(site):
    """In this environment, where the metadata of two more distributions is found."""
    install(site, 'mmengine', 'mmengine')
    install(site, 'onedl-mmengine', 'mmengine')
    shutil.rmtree(site / 'mmengine')
    (site / 'mmengine').symlink_to(Path(mmengine.__file__).parent)
    code = f'import sys; sys.path[:0] = [{str(site)!r}, {str(ROOT)!r}]; import mmrot'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'mmengine and onedl-mmengine share the folder mmengine' in run.stderr
    assert 'pip uninstall -y mmengine onedl-mmengine && pip install' in run.stderr
