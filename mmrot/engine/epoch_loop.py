from mmengine.runner import EpochBasedTrainLoop


class EpochLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, which can also resume within an epoch.

    The sampler leaves out the samples that were trained on, so none is loaded twice.
    """

    def run_epoch(self) -> None:
        """Iterate over the rest of an epoch, by default all of it."""
        done = self._iter - self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done:
            self.dataloader.sampler.skip(done * self.dataloader.batch_size)
        for index, batch in enumerate(self.dataloader, start=done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
