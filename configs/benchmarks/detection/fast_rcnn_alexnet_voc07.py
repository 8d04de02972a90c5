"""Fast R-CNN on AlexNet, VOC 2007, as the paper ran it (Table 7, Girshick 2015).

    for split in trainval test; do
        python tools/selective_search.py data/VOCdevkit/VOC2007 $split \\
            data/VOCdevkit/proposals/voc07_$split.pkl
    done
    tools/benchmarks/detection.sh PRETRAINED.pth 1 \\
        configs/benchmarks/detection/fast_rcnn_alexnet_voc07.py

Batch norm is absorbed and the weights are rescaled before training. ``random``
and ``random-rescaled`` in place of the checkpoint are the controls. 1 GPU × 2
images of 64 regions, 40,000 iterations; RoI pooling to 6×6 on conv5, fc6 and
fc7 of the pretrained network; multi-scale training, single-scale testing,
11-point mAP. RoI pooling needs a GPU;
``model.roi_head.bbox_roi_extractor.roi_layer.type=RoIAlign`` does not.

Published: RotNet 54.4, random 43.4, random rescaled 45.6 % mAP. With this code:
not run.
"""

_base_ = 'faster_rcnn_alexnet_voc07.py'

# mmdet's FastRCNN is this type, which also takes the base's rpn_head
model = dict(
    type='TwoStageDetector',
    rpn_head=None,
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(_delete_=True, type='RoIPool', output_size=6))
    ),
    # regions that hardly overlap an object are no examples
    train_cfg=dict(rcnn=dict(assigner=dict(neg_iou_thr=(0.1, 0.5)))),
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
    dataset=dict(proposal_file='proposals/voc07_trainval.pkl', pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(proposal_file='proposals/voc07_test.pkl', pipeline=test_pipeline)
)
test_dataloader = val_dataloader
custom_hooks = [
    {{_base_.load_backbone}},
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table7',
                metrics={'detection': 'pascal_voc/mAP'},
                scale=100,
            ),
            dict(
                table='table8',
                classes='pascal_voc/AP50/',
                scale=100,
            ),
        ],
    ),
    dict(type='mmrot.CheckClassesHook', head='roi_head.bbox_head'),
    dict(type='mmdet.CheckInvalidLossHook'),
]
