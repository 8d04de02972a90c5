import pytest
from mmpretrain.datasets import CustomDataset, Places205

from mmrot.registry import DATASETS


def paths(dataset) -> list[str]:
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def build(**kwargs):
    return DATASETS.build(dict(type='mmrot.UnlabelledImages', **kwargs))


@pytest.fixture
def root(tmp_path):
    """Images of two classes; '-' sorts before '/', so that paths sort differently."""
    for name in ('fox/b.JPEG', 'fox/a 1.JPEG', 'fox/deep/c.jpg', 'fox-cub/a.png', 'notes.txt'):
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_class_folders_give_the_order_of_labelled_data(root):
    dataset = build(data_root=str(root), split='train')
    labelled = CustomDataset(data_root=str(root), data_prefix='train')
    assert paths(dataset) == paths(labelled)
    assert len(dataset) == 4
    assert 'gt_label' not in dataset.get_data_info(0)
    assert dataset.metainfo == {}


def test_images_outside_class_folders_are_read(root):
    (root / 'train/a.JPEG').touch()
    assert f'{root}/train/a.JPEG' in paths(build(data_root=str(root), split='train'))


@pytest.mark.parametrize('label', [' 7', ''])
def test_list_is_read_in_its_order_with_or_without_labels(label, root):
    (root / 'meta').mkdir()
    names = ['fox-cub/a.png', 'fox/a 1.JPEG']
    (root / 'meta/train.txt').write_text(''.join(f'{name}{label}\n' for name in names))
    dataset = build(data_root=str(root), split='train')
    assert paths(dataset) == [f'{root}/train/{name}' for name in names]


def test_list_of_places205_gives_the_same_images(data_root):
    options = dict(
        data_root=str(data_root / 'places205'),
        data_prefix='data/vision/torralba/deeplearning/images256',
        ann_file='trainvalsplit_places205/train_places205.csv',
    )
    assert paths(build(**options)) == paths(Places205(**options))
