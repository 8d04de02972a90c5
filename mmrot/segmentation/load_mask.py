from mmseg.datasets.transforms import LoadAnnotations

from mmrot.errors import UserError
from mmrot.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadMask(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` that checks the mask against the image.

    Args:
        **kwargs: Arguments of mmseg's ``LoadAnnotations``.
    """

    def transform(self, results: dict) -> dict:
        """Load the mask of a loaded image.

        Raises:
            UserError: If the mask cannot be decoded or its shape differs from that
                of the image.
        """
        path = results['seg_map_path']
        try:
            results = super().transform(results)
        except FileNotFoundError:
            raise
        except (AttributeError, OSError, TypeError) as error:  # of PIL and OpenCV
            raise UserError(f'mask {path} cannot be decoded.') from error
        shape, expected = results['gt_seg_map'].shape, tuple(results['ori_shape'])
        if shape != expected:
            raise UserError(f'mask {path} has shape {shape}, but its image has {expected}.')
        return results
