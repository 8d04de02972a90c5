"""scikit-learn's digits at 16×16: padding by 1 and random crops. No download."""

data_preprocessor = dict(mean=[77.8, 77.8, 77.8], std=[85.0, 85.0, 85.0], to_rgb=False)

train_pipeline = [
    dict(type='mmpretrain.ResizeEdge', scale=16, edge='short', interpolation='area'),
    dict(type='mmpretrain.RandomCrop', crop_size=16, padding=1),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.ResizeEdge', scale=16, edge='short', interpolation='area'),
    dict(type='mmpretrain.CenterCrop', crop_size=16),
    dict(type='mmpretrain.PackInputs'),
]

train_dataloader = dict(
    num_workers=0,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    dataset=dict(type='mmrot.Digits', split='train', size=16, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(type='mmrot.Digits', split='test', size=16, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
