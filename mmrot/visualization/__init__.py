"""Pictures of what a network learned and predicts."""

from .predictions import draw_side_by_side

__all__ = ['draw_side_by_side']
