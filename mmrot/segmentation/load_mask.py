from mmseg.datasets.transforms import LoadAnnotations

from mmrot.errors import UserError
from mmrot.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadMask(LoadAnnotations):
    """mmseg's ``LoadAnnotations``, which refuses a mask that is not of its image.

    Args:
        **kwargs: The arguments of mmseg's ``LoadAnnotations``.

    Raises:
        UserError: If the mask cannot be decoded or has another size than the
            image; names the file.
    """

    def transform(self, results: dict) -> dict:
        """Load the mask of an image that is loaded."""
        path = results['seg_map_path']
        try:
            results = super().transform(results)
        except FileNotFoundError:
            raise
        except (AttributeError, OSError, TypeError) as error:
            raise UserError(f'mask {path}: expected an image that can be decoded') from error
        shape, expected = results['gt_seg_map'].shape, tuple(results['ori_shape'])
        if len(shape) != 2:
            raise UserError(f'mask {path} has {shape[2]} channels: expected class numbers in one')
        if shape != expected:
            raise UserError(
                f'mask {path} has (height, width) {shape}, its image {results["img_path"]} '
                f'{expected}: expected the same'
            )
        return results
