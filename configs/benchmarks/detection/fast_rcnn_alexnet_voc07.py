r"""Fast R-CNN with AlexNet, VOC 2007, the paper's detector (Tables 7 and 8).

    for split in trainval test; do
        python tools/selective_search.py data/VOCdevkit/VOC2007 $split \
            data/VOCdevkit/proposals/voc07_$split.npz
    done
    tools/benchmarks/detection.sh PRETRAINED.pth 1 \
        configs/benchmarks/detection/fast_rcnn_alexnet_voc07.py

1 GPU × 2 images with 64 regions each, 40,000 iterations, after the paper and code of
Girshick (2015): difficult objects are used for training, box targets are normalised per
class, and up to 100 detections per class and image are kept, without a score threshold. RoI
pooling to 6×6 on conv5, then fc6 and fc7 of the pretrained network. Otherwise as
faster_rcnn_alexnet_voc07.py. conv1 is frozen as in Girshick's CaffeNet; Table 7's column
says "all", for which set ``model.backbone.frozen_stages=-1``.

Published (Table 7): RotNet 54.4, random 43.4, random rescaled 45.6 % mAP. Not run at
this size; docs/measurements.md has a short run on other data.
"""

_base_ = 'faster_rcnn_alexnet_voc07.py'

# mmdet's FastRCNN does not accept the rpn_head of the base config; its base class does
model = dict(
    type='TwoStageDetector',
    rpn_head=None,
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmrot.RoIPoolExtractor', roi_layer=dict(_delete_=True, output_size=(6, 6))
        ),
        bbox_head=dict(
            type='mmrot.FastRCNNBBoxHead',
            # normalised per class instead
            bbox_coder=dict(target_means=[0.0] * 4, target_stds=[1.0] * 4),
        ),
    ),
    # regions that hardly overlap an object are not background examples
    train_cfg=dict(rcnn=dict(assigner=dict(neg_iou_thr=(0.1, 0.5)))),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_class=100, max_per_img=2000)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadProposals', num_max_proposals=2000),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='mmdet.ProposalBroadcaster',
        transforms=[
            dict(
                type='RandomChoiceResize',
                resize_type='mmdet.Resize',
                scales=[(2000, side) for side in (480, 576, 688, 864, 1200)],
                keep_ratio=True,
            ),
            dict(type='mmdet.RandomFlip', prob=0.5),
        ],
    ),
    dict(type='mmdet.PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadProposals', num_max_proposals=2000),
    dict(
        type='mmdet.ProposalBroadcaster',
        transforms=[dict(type='mmdet.Resize', scale=(1000, 600), keep_ratio=True)],
    ),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    dataset=dict(
        proposal_file='proposals/voc07_trainval.npz',
        train_on_difficult=True,
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(proposal_file='proposals/voc07_test.npz', pipeline=test_pipeline)
)
test_dataloader = val_dataloader
default_hooks = dict(
    box_statistics=dict(type='mmrot.BoxStatisticsHook'),
    result_table=dict(
        tables=[
            dict(table='table7', metrics={'detection': 'pascal_voc/mAP'}, scale=100),
            dict(table='table8', classes='pascal_voc/AP50/', scale=100),
        ]
    ),
)
