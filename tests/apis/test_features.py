import copy

import numpy as np
import pytest
import torch
from helpers import shipped, write_photo
from mmengine.config import Config
from mmengine.registry import DATASETS

import mmrot
from mmrot.apis.features import build_backbone
from mmrot.errors import UserError
from mmrot.models import NIN


@pytest.fixture
def digits():
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.indices = 300
    cfg.test_dataloader.dataset.indices = 60
    return cfg


@pytest.fixture
def checkpoint(tmp_path, digits):
    torch.manual_seed(1)
    backbone = NIN(4, digits.model.backbone.width)
    backbone.init_weights()
    path = tmp_path / 'pretrained.pth'
    torch.save({f'backbone.{k}': v for k, v in backbone.state_dict().items()}, path)
    return path


def test_extract_features_of_a_checkpoint(digits, checkpoint):
    features = mmrot.extract_features(digits, checkpoint, stages=['block2', 3])
    assert list(features.stages) == ['block2', 'block4']
    backbone = NIN(4, digits.model.backbone.width, out_indices=(1, 3))
    state = torch.load(checkpoint)
    backbone.load_state_dict({k.removeprefix('backbone.'): v for k, v in state.items()})
    dataset = DATASETS.build(digits.test_dataloader.dataset)
    statistics = digits.data_preprocessor
    mean, std = (torch.tensor(statistics[key])[:, None, None] for key in ('mean', 'std'))
    with torch.no_grad():
        maps = backbone.eval()(((dataset[7]['inputs'].float() - mean) / std)[None])
    for name, expected in zip(features.stages, maps, strict=True):
        np.testing.assert_allclose(
            features.stages[name][7], expected.mean((2, 3))[0], rtol=1e-4, atol=1e-6
        )
    assert features.labels[7] == int(dataset.get_data_info(7)['gt_label'])
    assert len(features.files) == len(dataset)


def test_training_data_go_through_the_test_pipeline(digits):
    one, two = (mmrot.extract_features(digits, 'random', split='train') for _ in range(2))
    np.testing.assert_array_equal(one.stages['block4'], two.stages['block4'])


def test_random_backbone_depends_on_the_seed(digits):
    zero = mmrot.extract_features(digits, 'random')
    digits.randomness = dict(seed=1)
    one = mmrot.extract_features(digits, 'random')
    assert not np.allclose(zero.stages['block4'], one.stages['block4'])


def test_stages_of_a_probe_have_the_names_of_its_probes(digits):
    probe = Config.fromfile(
        mmrot.config_path('benchmarks/classification/nin4_nonlinear_cifar10.py')
    )
    probe.model.backbone.width = 12
    for name in ('train_dataloader', 'test_dataloader'):
        probe[name] = copy.deepcopy(digits[name])
    features = mmrot.extract_features(probe, 'random', pool=dict(conv1=96))
    assert {k: v.shape[1] for k, v in features.stages.items()} == {
        'conv1': 6 * 4 * 4,
        **dict.fromkeys(('conv2', 'conv3', 'conv4'), 12),
    }
    features = mmrot.extract_features(probe, 'random', stages=['conv3'])
    assert list(features.stages) == ['conv3']


@pytest.mark.parametrize(
    ('name', 'sizes'),
    [
        ('resnet50_knn_in1k', {'avgpool': 2048}),
        (
            'resnet50_svm_voc07',
            dict(feature1=9216, feature2=9216, feature3=8192, feature4=9216, feature5=8192),
        ),
        ('resnet50_low_shot_voc07', {'feature4': 9216}),
    ],
)
def test_configs_of_the_resnet50_page_have_its_feature_sizes(tmp_path, name, sizes):
    write_photo(tmp_path / '1.jpg', np.random.default_rng(0))
    cfg = shipped(f'benchmarks/classification/{name}.py')
    cfg.test_dataloader.num_workers = 0
    features = mmrot.extract_features(cfg, 'random', image_folder=str(tmp_path))
    assert {stage: array.shape[1] for stage, array in features.stages.items()} == sizes


def backbone_and_names(backbone, stages, probes=()):
    cfg = Config(dict(model=dict(backbone=backbone), default_scope='mmpretrain'))
    network, names, *_ = build_backbone(cfg, 'random', stages, probes, trust=False)
    return network, names


@pytest.mark.parametrize(
    ('out_indices', 'stages', 'expected'),
    [
        ((7,), None, ['fc7']),
        ((7,), 0, ['pool1']),
        ((7,), ['conv2', 'conv1', 'pool1'], ['conv1', 'pool1', 'conv2']),
        ((7,), ['stage3', 'conv3'], ['conv3', 'conv4']),
        (('conv1', 'conv5'), -1, ['conv5']),
        (('conv1', 'conv5'), -2, ['conv1']),
    ],
)
def test_outputs_of_alexnet_have_one_name_in_all_configs(out_indices, stages, expected):
    backbone = dict(type='mmrot.AlexNet', out_indices=out_indices)
    network, names = backbone_and_names(backbone, stages)
    assert names == network.outputs == expected


def test_names_of_other_backbones():
    resnet = dict(type='mmrot.ResNet', depth=18)
    assert backbone_and_names(resnet, [0, 'layer4'])[1] == ['stem', 'layer4']
    probes = [f'feature{i}' for i in range(1, 6)]
    assert backbone_and_names(resnet, ['feature5', 'stem'], probes)[1] == ['feature1', 'feature5']
    theirs = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 3))
    assert backbone_and_names(theirs, None)[1] == ['stage1', 'stage3']
    assert backbone_and_names(theirs, -2)[1] == ['stage1']
    assert backbone_and_names(theirs, ['stage2', 0])[1] == ['stage0', 'stage2']
    with pytest.raises(UserError, match='ResNet has no stages 9'):
        backbone_and_names(theirs, [9])


def test_folder_of_photos_without_labels(tmp_path, digits):
    rng = np.random.default_rng(0)
    for name in ('b/2.jpg', 'a/1.jpg', 'a/3.jpg'):
        write_photo(tmp_path / 'photos' / name, rng)
    features = mmrot.extract_features(
        digits, 'random', out=tmp_path / 'features', image_folder=str(tmp_path / 'photos')
    )
    assert features.labels is None
    assert [file[-7:] for file in features.files] == ['a/1.jpg', 'a/3.jpg', 'b/2.jpg']
    assert (tmp_path / 'features' / 'block4.npy').exists()


def test_another_checkpoint_does_not_resume(tmp_path, digits, checkpoint):
    mmrot.extract_features(digits, 'random', out=tmp_path / 'features')
    with pytest.raises(UserError, match='differ in "checkpoint"'):
        mmrot.extract_features(digits, checkpoint, out=tmp_path / 'features')


def test_what_does_not_exist_is_named(digits, checkpoint):
    for stage in ('conv9', 7, -2):
        with pytest.raises(UserError, match=f'NIN has no stage {stage}: expected block1, block2,'):
            mmrot.extract_features(digits, 'random', stages=[stage])
    with pytest.raises(UserError, match='pool has blok2, which is not one of the stages, block4'):
        mmrot.extract_features(digits, 'random', pool={'blok2': 100})
    digits.model.backbone.width = 12
    with pytest.raises(UserError, match='does not match NIN'):
        mmrot.extract_features(digits, checkpoint)
    digits.test_dataloader = None
    with pytest.raises(UserError, match='no test_dataloader'):
        mmrot.extract_features(digits, 'random')
