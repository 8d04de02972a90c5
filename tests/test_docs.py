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


def test_every_config_has_a_metafile_entry():
    metafiles = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    models = [m for file in metafiles for m in yaml.safe_load((ROOT / file).read_text())['Models']]
    configs = sorted(model['Config'] for model in models)
    assert configs == [f'configs/{name}' for name in mmrot.list_configs()]


def test_mims_reader_takes_the_index():
    reader = pytest.importorskip('modelindex.load_model_index')
    index = reader.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert sorted(m.config for m in index.models) == [f'configs/{n}' for n in mmrot.list_configs()]
    assert {model.in_collection for model in index.models} == {'RotNet'}
