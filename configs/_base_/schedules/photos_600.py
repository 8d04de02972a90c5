"""600 iterations of AdamW in bfloat16: warm-up for 50, then a cosine to zero.

Counted in iterations, so that the time does not depend on the number of photos.
"""

optim_wrapper = dict(
    type='mmrot.BFloat16OptimWrapper',
    optimizer=dict(type='mmengine.AdamW', lr=1e-3, weight_decay=0.05),
)
param_scheduler = [
    dict(type='mmengine.LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='mmengine.CosineAnnealingLR', by_epoch=False, begin=50, end=600),
]
train_cfg = dict(by_epoch=False, max_iters=600, val_interval=200)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=32)  # images
