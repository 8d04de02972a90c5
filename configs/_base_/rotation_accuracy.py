"""Rotation accuracy on the validation images, over all rotated copies and per angle."""

val_evaluator = dict(type='mmrot.RotationAccuracy')
test_evaluator = dict(type='mmrot.RotationAccuracy')
