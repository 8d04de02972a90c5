import shutil

import pytest
from mmpretrain.datasets import CustomDataset

from mmrot.datasets import InMemoryImages
from mmrot.results import constant_answers


def test_chance_and_majority_of_a_class_folder(labelled_folder, tmp_path):
    shutil.copytree(labelled_folder / 'train', tmp_path / 'train')
    (tmp_path / 'train/dark/0.png').unlink()
    (tmp_path / 'train/grey/0.png').unlink()
    dataset = CustomDataset(
        data_root=str(tmp_path),
        data_prefix='train',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
    expected = dict(chance=pytest.approx(100 / 3), majority=pytest.approx(40))  # 4 of 10
    assert constant_answers(dataset) == expected
    assert constant_answers(InMemoryImages(dataset)) == expected


def test_photos_without_labels_have_neither(labelled_folder):
    dataset = CustomDataset(data_root=str(labelled_folder), with_label=False)
    assert constant_answers(dataset) == {}
