from mmpretrain.datasets import ImageNet

from mmrot.registry import DATASETS


@DATASETS.register_module()
class UnlabelledImages(ImageNet):
    """Images in the layout of ImageNet, or listed in a file, without labels.

    Reads the same images as mmpretrain's ``ImageNet``, in the same order, with any number of
    class folders or none: every image in ``{train,val}/``, or those listed in
    ``meta/{train,val}.txt``.

    Args:
        **kwargs: Arguments of mmpretrain's ``ImageNet``: ``data_root``, ``split``,
            ``data_prefix``, ``ann_file``, ``pipeline``. Labels in ``ann_file`` are ignored.
    """

    METAINFO: dict = {}

    def __init__(self, **kwargs) -> None:
        super().__init__(**{**kwargs, 'with_label': False})

    def load_data_list(self) -> list[dict]:
        """List the images.

        Returns:
            ``img_path`` of each image.
        """
        data_list = super().load_data_list()
        if self.ann_file:
            for info in data_list:
                path, _, label = info['img_path'].rpartition(' ')
                if label.isdigit():
                    info['img_path'] = path
            return data_list
        # ImageNet sorts by class folder first, then by path inside it
        start = len(self.img_prefix.rstrip('/')) + 1
        return sorted(data_list, key=lambda info: info['img_path'][start:].partition('/'))
