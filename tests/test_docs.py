"""The pages hold no gaps, and what they name exists."""

import re

import pytest
import yaml
from helpers import ROOT

import mmrot

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_pages(page):
    text = page.read_text()
    assert not re.findall(r'@[A-Z]+@|TODO|FIXME', text)
    for target in re.findall(r'\]\(([^)]+)\)', text):
        file = target.partition('#')[0]
        assert target.startswith('http') or (page.parent / file).exists(), target
    for name in re.findall(r'(?:configs|tools)/[\w/.-]+\.(?:py|sh)', text):
        assert (ROOT / name).exists(), name


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
    assert len(index.models) == 9
    assert {model.in_collection for model in index.models} == {'RotNet'}
