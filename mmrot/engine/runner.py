import os

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.utils.data import DataLoader

from mmrot.errors import UserError

from .distributed import init_gloo

# What mmengine's data sets say when they are empty.
_EMPTY = 'need at least one array to concatenate'


class Runner(MMEngineRunner):
    """mmengine's Runner for the tools: also distributed on CPU, and careful.

    It runs the configs of mmrot, mmpretrain, mmdet and mmseg. What differs:

    - Without a GPU, a distributed job runs with gloo. mmengine calls
      ``torch.cuda.set_device`` first and hands ``device_ids`` to a CPU module.
    - A checkpoint to resume, to test or to load into a model of mmrot must fit
      the model exactly; mmengine only warns and goes on from noise.
    - The config goes to ``work_dir`` after the first training iteration, so
      that a job that cannot start, or only tests, overwrites nothing.

    Attributes:
        ready (bool): Whether the first iteration is done.
    """

    ready = False
    _testing = False

    def setup_env(self, env_cfg: dict) -> None:
        """Initialise a distributed CPU job, then do as mmengine does."""
        if self.distributed and not is_distributed():
            self._check_gpus()
            if not torch.cuda.is_available():
                init_gloo(self.launcher)
        super().setup_env(env_cfg)

    @staticmethod
    def _check_gpus() -> None:
        """Raise ValueError where torchrun put more ranks than GPUs on this node."""
        ranks = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
        if 0 < torch.cuda.device_count() < ranks:
            raise UserError(
                f'{ranks} processes on this machine: expected at most one for each of its '
                f'{torch.cuda.device_count()} GPUs'
            )

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for data parallelism, on CPU without device ids and SyncBN."""
        if not self.distributed or get_device() != 'cpu' or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        print_log(
            'No GPU: the job runs on the CPU with gloo, with batch norm per process',
            logger='current',
        )
        return MMDistributedDataParallel(
            module=revert_sync_batchnorm(model),  # it has no CPU kernel
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False),
        )

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool = False,
        revise_keys: list = [(r'^module.', '')],
    ) -> dict:
        """Load a checkpoint, which must fit where mmengine would only warn.

        Raises:
            UserError: If it does not fit the model; names the keys.
        """
        model = self.model.module if hasattr(self.model, 'module') else self.model
        ours = type(model).__module__.partition('.')[0] == 'mmrot'
        try:
            return super().load_checkpoint(
                filename,
                map_location,
                strict=strict or ours or self._resume or self._testing,
                revise_keys=revise_keys,
            )
        except (FileNotFoundError, ValueError):
            raise
        except RuntimeError as error:
            raise UserError(f'checkpoint {filename} does not fit the model: {error}') from error
        except Exception as error:
            raise UserError(
                f'checkpoint {filename}: expected a file that torch can load ({error})'
            ) from error

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume from a checkpoint of a training.

        Raises:
            UserError: If it holds weights only.
        """
        try:
            super().resume(filename, *args, **kwargs)
        except KeyError as error:
            raise UserError(
                f'checkpoint {filename} has no {error}: expected one that a training saved; '
                'weights alone are for load_from'
            ) from error

    def test(self) -> dict:
        """Test a checkpoint, which must fit the model."""
        self._testing = True
        return super().test()

    def load_to_test(self) -> None:
        """Load a checkpoint as :meth:`test` does, and test nothing."""
        self._testing = True
        self.load_or_resume()

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Call the hooks; after the first iteration the job counts as started."""
        super().call_hook(fn_name, **kwargs)
        if not self.ready and fn_name in ('after_train_iter', 'after_val_iter', 'after_test_iter'):
            self.ready = True
            if fn_name == 'after_train_iter':
                super().dump_config()

    def dump_config(self) -> None:
        """Wait: mmengine calls it before anything is built, loaded or tried."""

    @staticmethod
    def build_dataloader(dataloader: dict, *args, **kwargs) -> DataLoader:
        """Build a dataloader; an error of its data set names the folder.

        Raises:
            UserError: If the data set cannot be built, or is empty: mmengine's
                infinite sampler would wait for ever.
        """
        dataset = dataloader['dataset'] if isinstance(dataloader, dict) else None
        try:
            loader = MMEngineRunner.build_dataloader(dataloader, *args, **kwargs)
            if not len(loader.dataset):
                raise UserError(_EMPTY)
            return loader
        except Exception as error:
            if not isinstance(dataset, dict) or 'data_root' not in dataset:
                raise
            where = f'{dataset.get("type")} with data_root={dataset["data_root"]}'
            if dataset.get('ann_file'):
                where += f', ann_file={dataset["ann_file"]}'
            what = 'it has no images' if _EMPTY in str(error) else error
            raise UserError(f'{where}: {what}') from error
