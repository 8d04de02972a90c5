"""Runtime of pretraining: hooks, environment, logging."""

default_scope = 'mmpretrain'

default_hooks = dict(
    timer=dict(type='mmengine.IterTimerHook'),
    logger=dict(type='mmengine.LoggerHook', interval=100),
    param_scheduler=dict(type='mmengine.ParamSchedulerHook'),
    checkpoint=dict(type='mmengine.CheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='mmengine.DistSamplerSeedHook'),
    sync_buffers=dict(type='mmrot.SyncBuffersHook'),
    check_loss=dict(type='mmrot.CheckLossHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,  # all images have the same size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

visualizer = dict(
    type='mmpretrain.UniversalVisualizer', vis_backends=[dict(type='mmengine.LocalVisBackend')]
)

randomness = dict(seed=None, deterministic=False)
log_level = 'INFO'
load_from = None
resume = False
