"""Top-1 accuracy of each probe and of the best one; ``probe_runtime.py`` includes it."""

val_evaluator = dict(type='mmrot.PerLayerAccuracy', topk=(1,))
test_evaluator = dict(type='mmrot.PerLayerAccuracy', topk=(1,))
