"""VOC 2007 classification with AlexNet on a tiny VOC and on a folder of photos."""

import numpy as np
import pytest
import torch
from helpers import inheriting, logged, shipped
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from mmrot.results import read_records
from mmrot.weights import absorb_bn, fold_std
from mmrot.weights.state_dict import split_backbone

FC6_8 = inheriting('benchmarks/classification/alexnet_fc6_8_voc07.py')
ALL = inheriting('benchmarks/classification/alexnet_all_voc07.py')
TINY = [
    *('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=3'),
    *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
    *('default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=2'),
    *('model.backbone.fc_channels=64', 'model.head.in_channels=64'),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'column', 'frozen'),
    [(FC6_8, 'classification, fc6-8', 5), (ALL, 'classification, all', 0)],
)
def test_voc07_classification_trains_selected_layers(
    config, column, frozen, voc, alexnet_checkpoint, tmp_path, run_tool
):
    options = [f'data_root={voc}/VOC2007', 'default_hooks.load_backbone.rescale=0', *TINY]
    options += ['optim_wrapper.optimizer.lr=0.01']
    run_tool(
        *('train', config, '--work-dir', tmp_path, '--backbone', alexnet_checkpoint),
        *('--cfg-options', *options),
    )
    trained = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict']
    source = absorb_bn(torch.load(alexnet_checkpoint)['state_dict'])
    source = fold_std(split_backbone(source)[0])
    layers = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7']
    for index, layer in enumerate(layers):
        kind = 'conv' if layer.startswith('conv') else 'fc'
        key = f'{layer}.{kind}.weight'
        assert torch.equal(trained[f'backbone.{key}'], source[key]) == (index < frozen), layer
    (record,) = read_records(tmp_path)
    assert (record.table, record.row, record.data) == ('table7', 'RotNet', 'VOC2007 test')
    # both test images show a dog and nothing else
    assert record.values == {column: pytest.approx(100)}
    losses = [row['loss'] for row in logged(tmp_path) if 'loss' in row]
    assert len(losses) == 2
    assert losses[0] > losses[1] > 0


@pytest.mark.slow
def test_voc07_classification_trains_on_a_labelled_folder(labelled_folder, tmp_path, run_tool):
    """A softmax classifier of three classes on rescaled random features."""
    run_tool(
        *('train', FC6_8, '--work-dir', tmp_path, '--backbone', 'random-rescaled'),
        *('--labelled-folder', labelled_folder, '--cfg-options', *TINY),
        *('train_dataloader.batch_size=12', 'default_hooks.load_backbone.rescale=2'),
    )
    head = Config.fromfile(tmp_path / FC6_8.name).model.head
    assert (head.type, head.num_classes) == ('mmpretrain.LinearClsHead', 3)
    assert not head.loss.use_sigmoid
    (record,) = read_records(tmp_path)
    assert (record.row, record.data, record.images) == (
        'random rescaled',
        'three classes',
        6,
    )
    assert list(record.values) == ['classification, fc6-8']


@pytest.mark.parametrize(
    ('config', 'frozen', 'columns'), [('fc6_8', 6, 'fc6-8'), ('all', -1, 'all')]
)
def test_voc07_classification_config_has_published_settings(config, frozen, columns):
    cfg = shipped(f'benchmarks/classification/alexnet_{config}_voc07.py')
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 16
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.001, 0.9, 1e-6)
    assert (cfg.param_scheduler.step_size, cfg.param_scheduler.gamma) == (10000, 0.5)
    assert cfg.train_cfg.max_iters == 80000
    assert cfg.model.backbone.frozen_stages == frozen
    assert cfg.model.head.type == 'mmrot.IgnoreDifficultHead'
    for loader in cfg.train_dataloader, cfg.test_dataloader:
        assert 'gt_label_difficult' in loader.dataset.pipeline[-1].meta_keys
    (table,) = cfg.default_hooks.result_table.tables
    assert table['metrics'] == {f'classification, {columns}': 'voc07/mAP_area'}


def test_voc07_classification_crops_at_random_scales(voc):
    cfg = shipped('benchmarks/classification/alexnet_fc6_8_voc07.py')
    sizes = []
    image = np.full((375, 500, 3), 255, np.uint8)
    steps = cfg.test_dataloader.dataset.pipeline[1]
    for step in cfg.train_dataloader.dataset.pipeline[1:4], steps.transforms:
        assert [s.type.rpartition('.')[2] for s in step] == [
            *('RandomResize', 'RandomCrop', 'RandomFlip')
        ]
        resize = TRANSFORMS.build(step[0])
        sizes = [resize(dict(img=image))['img'].shape[1] for _ in range(200)]
        assert (min(sizes), max(sizes)) == (
            pytest.approx(250, abs=25),
            pytest.approx(1000, abs=25),
        )
        small = TRANSFORMS.build(step[1])(dict(img=image[:180, :250]))['img']
        assert small.shape == (224, 224, 3)  # padded with the mean, BGR
        assert small[0, 0].tolist() in ([104, 116, 124], [255] * 3)
    assert steps.num_crops == 10


def test_voc07_classification_rejects_an_empty_split(voc, alexnet_checkpoint, tmp_path, run_tool):
    root = tmp_path / 'VOC2007'
    (root / 'ImageSets/Main').mkdir(parents=True)
    for split in ('trainval', 'test'):
        (root / f'ImageSets/Main/{split}.txt').write_text('')
    with pytest.raises(SystemExit, match=r'VOC with data_root=.*VOC2007.* has no images'):
        run_tool(
            *('train', FC6_8, '--work-dir', tmp_path / 'work', '--backbone', alexnet_checkpoint),
            *('--cfg-options', f'data_root={root}', *TINY),
        )


@pytest.mark.slow
def test_voc07_classification_command_trains_with_two_processes(
    voc, alexnet_checkpoint, tmp_path, run_benchmark
):
    printed = run_benchmark(
        *('voc07_classification.sh', alexnet_checkpoint),
        *('--work-dir', tmp_path, '--cfg-options', f'data_root={voc}/VOC2007', *TINY),
        *('train_dataloader.batch_size=1', 'default_hooks.checkpoint.interval=9'),
    )
    assert printed.count('Rescaled the weights on 4 training images') == 1
    (record,) = read_records(tmp_path)
    assert (record.processes, record.batch_size, record.images) == (2, 2, 2)
    assert ' 70.87 ' in printed  # the published one
