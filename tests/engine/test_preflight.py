import pytest
from torch.utils.data import DataLoader

from mmrot.engine.preflight import check_last_batch, check_tables, check_unused
from mmrot.registry import MODELS


@pytest.fixture(scope='module')
def classifier():
    return MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mmrot.NIN', num_blocks=3, width=12, out_indices=(1,)),
            head=dict(
                type='mmrot.LayerProbes',
                num_classes=3,
                probes=dict(conv2=dict(type='mmrot.MLPProbe', in_features=12 * 8 * 8)),
            ),
        )
    )


@pytest.mark.parametrize('name', ['results.json', 'epoch_1.pth', 'iter_600.pth'])
def test_used_work_dir_raises(name, tmp_path):
    check_unused(tmp_path)
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f'{name} is from an earlier run. Use --resume'):
        check_unused(tmp_path)


@pytest.mark.parametrize(
    ('columns', 'message'),
    [
        ({'accuracy': 'conv3'}, 'table3 requires a probe of conv3, but the model has conv2'),
        ({'num_per_class': 'conv2'}, 'table3 requires mmrot.PerClassSubset as training data'),
    ],
)
def test_table_that_the_probes_cannot_fill_raises(columns, message, classifier):
    with pytest.raises(ValueError, match=message):
        check_tables([dict(table='table3', columns=columns)], classifier, None)


def test_table_that_the_probes_fill_passes(classifier):
    check_tables([dict(table='table3', columns={'num_per_class': 'conv2'})], classifier, 20)


def test_last_batch_of_one_image_raises(classifier):
    with pytest.raises(ValueError, match='7 images in batches of 3 leave a last batch of one'):
        check_last_batch(DataLoader(range(7), batch_size=3), classifier)
    check_last_batch(DataLoader(range(7), batch_size=3, drop_last=True), classifier)
    check_last_batch(DataLoader(range(8), batch_size=3), classifier)
