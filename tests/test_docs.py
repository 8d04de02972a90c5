"""The pages have no gaps, what they name exists, and the README's code runs."""

import re

import pytest
import torch
import yaml
from helpers import ROOT
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import mmrot
from mmrot.cli import COMMANDS
from mmrot.cli.eval import KINDS

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


README = (ROOT / 'README.md').read_text()


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w -]', '', h.lower()).replace(' ', '-') for h in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_page_names_only_what_exists(page):
    text = page.read_text()
    assert not re.findall(r'@[A-Z]+@|TODO|FIXME', text)
    for target in re.findall(r'\]\(([^)]+)\)', text):
        if target.startswith('http'):
            continue
        file, _, anchor = target.partition('#')
        path = page.parent / file if file else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target
    for name in re.findall(r'(?:configs|tools)/[\w/.-]+\.(?:py|sh)', text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r'mmrot(?: train|::)\s?([\w/]+/\w+\.py)', text):
        assert (ROOT / 'configs' / name).is_file(), name
    for command, kind in re.findall(r'(?:^    |`)mmrot ([a-z-]+)(?: ([a-z0-9-]+))?', text, re.M):
        assert command in COMMANDS, command
        assert command != 'eval' or kind in KINDS, kind


def test_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_config_of_another_backbone_builds(tmp_path):
    config = tmp_path / 'mobilenet.py'
    page = (ROOT / 'docs/pretraining.md').read_text()
    config.write_text(re.search(r'`mobilenet\.py`.*?```python\n(.*?)```', page, re.S)[1])
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmrot'):
        model = MODELS.build(cfg.model).eval()
    (*_, features) = model.backbone(torch.rand(1, 3, 32, 32))
    assert features.shape[1] == cfg.model.head.in_channels


def test_readme_python_code_trains(photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').symlink_to(photo_folder)
    code = next(c for c in re.findall(r'```python\n(.*?)```', README, re.S) if 'Runner' in c)
    small = """cfg.train_cfg.update(max_iters=2, val_interval=2)
cfg.default_hooks.checkpoint.interval = 2
for loader in (cfg.train_dataloader, cfg.val_dataloader):
    loader.update(batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False)
cfg.work_dir"""
    code, changes = re.subn(r'^cfg\.work_dir', small, code, flags=re.M)
    assert changes == 1
    names: dict = {}
    exec(code.replace("'photos'), 128)", "'photos'), 32)").replace('iter_600', 'iter_2'), names)
    assert (tmp_path / 'work_dirs/photos_128/iter_2.pth').exists()
    assert names['backbone'](torch.rand(2, 3, 32, 32))[-1].shape == (2, 512, 1, 1)
    assert [answer['error'] is None for answer in names['answers']].count(True) == 24


def test_experiments_page_names_every_config():
    page = (ROOT / 'docs/experiments.md').read_text()
    assert [name for name in mmrot.list_configs() if name.rpartition('/')[2] not in page] == []


def test_model_index_lists_the_pretraining_configs():
    (metafile,) = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    models = yaml.safe_load((ROOT / metafile).read_text())['Models']
    names = [name for name in mmrot.list_configs() if not name.startswith('benchmarks/')]
    assert sorted(model['Config'] for model in models) == [f'configs/{name}' for name in names]


def test_mims_reader_loads_the_model_index():
    reader = pytest.importorskip('modelindex.load_model_index')
    index = reader.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert len(index.models) == 12
    assert {model.in_collection for model in index.models} == {'RotNet'}
