from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor, stack


def must_wait(tensor: Tensor) -> bool:
    """Return whether reading a tensor waits until its device has computed it."""
    return tensor.device.type != 'cpu'


class DeferredScalars(MessageHub):
    """A message hub that reads scalars from a GPU only when they are needed.

    mmengine's reads every loss after every iteration, and the GPU idles until the next one is
    prepared.
    """

    # More would take memory if nothing logs.
    _LIMIT = 1000
    _pending: list[tuple[str, Tensor, int]]

    @classmethod
    def convert(cls, hub: MessageHub) -> None:
        """Turn a message hub into one of this class.

        A new object would not do: mmengine's components look the hub up among the instances of
        its class.
        """
        hub.__class__ = cls
        hub._pending = []

    def update_scalar(self, key: str, value, count: int = 1, resumed: bool = True) -> None:
        """Update a scalar; one on a GPU is read later."""
        if not isinstance(value, Tensor) or not must_wait(value):
            super().update_scalar(key, value, count, resumed)
            return
        self._set_resumed_keys(key, resumed)
        self._pending.append((key, value.detach(), count))
        if len(self._pending) >= self._LIMIT:
            self._read()

    def _read(self) -> None:
        """Read all pending scalars at once."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = stack([value.float().reshape(()) for _, value, _ in pending]).tolist()
        for (key, _, count), value in zip(pending, values, strict=True):
            super().update_scalar(key, value, count, self._resumed_keys[key])

    @property
    def log_scalars(self) -> dict[str, HistoryBuffer]:
        """All scalars, with those that were pending."""
        self._read()
        return super().log_scalars

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Return a scalar.

        Raises:
            KeyError: If there is none of this name.
        """
        if key in self._log_scalars and all(key != name for name, _, _ in self._pending):
            return self._log_scalars[key]
        return super().get_scalar(key)

    def state_dict(self) -> dict:
        """Return what a checkpoint contains."""
        self._read()
        return super().state_dict()
