"""Figures of predictions."""

from .predictions import draw_side_by_side
from .rotation_predictions import draw_rotation_predictions

__all__ = ['draw_rotation_predictions', 'draw_side_by_side']
