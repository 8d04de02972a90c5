"""Accuracy of each probe, and of the best one."""

val_evaluator = dict(type='mmrot.PerLayerAccuracy', topk=(1,))
test_evaluator = dict(type='mmrot.PerLayerAccuracy', topk=(1,))
