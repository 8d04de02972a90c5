import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


class HeldLog:
    """Hold back the log of a job until it has started.

    A job that cannot start then ends with its error alone, not with hundreds of lines on
    environment, config and hooks before it. Warnings are not held back.

    Args:
        logger: Logger of the job.
    """

    def __init__(self, logger: MMLogger) -> None:
        self.logger = logger
        self.held: list[logging.LogRecord] = []
        self.holding = True
        for handler in logger.handlers:
            handler.addFilter(self._let_pass)

    def _let_pass(self, record: logging.LogRecord) -> bool:
        if self.holding and record.levelno < logging.WARNING:
            if record not in self.held:  # there are several handlers
                self.held.append(record)
            return False
        return True

    def release(self) -> None:
        """Print and write what was held back, if anything."""
        self._stop()
        for record in self.held:
            self.logger.handle(record)
        self.held.clear()

    def discard(self) -> None:
        """Forget what was held back and close the log files."""
        self._stop()
        self.held.clear()
        for handler in self.logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.close()

    def _stop(self) -> None:
        self.holding = False
        for handler in self.logger.handlers:
            handler.removeFilter(self._let_pass)


@contextmanager
def without_log() -> Iterator[None]:
    """Silence the current log below warnings."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)
