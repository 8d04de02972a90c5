from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor, stack


def must_wait(tensor: Tensor) -> bool:
    """Return whether reading a tensor waits until its device has computed it."""
    return tensor.device.type != 'cpu'


class DeferredScalars(MessageHub):
    """A message hub that reads scalars from a GPU only when they are needed.

    mmengine's ``MessageHub`` reads every loss after each iteration. This waits for the GPU, which
    then idles until the next iteration is launched.
    """

    # Bounds memory use if nothing is logged.
    _LIMIT = 1000
    _pending: list[tuple[str, Tensor, int]]

    @classmethod
    def convert(cls, hub: MessageHub) -> None:
        """Convert a message hub to this class in place.

        A new object would not do: mmengine's components look the hub up among the instances of
        its class.
        """
        hub.__class__ = cls
        hub._pending = []

    def update_scalar(self, key: str, value, count: int = 1, resumed: bool = True) -> None:
        """Record a scalar; GPU tensors are read later."""
        if not isinstance(value, Tensor) or value.numel() != 1 or not must_wait(value):
            super().update_scalar(key, value, count, resumed)
            return
        self._set_resumed_keys(key, resumed)
        self._pending.append((key, value.detach().clone(), count))  # it may be changed in place
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
        """Return the state for a checkpoint, with pending scalars."""
        self._read()
        return super().state_dict()
