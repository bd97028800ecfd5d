"""Errors of a run. Each message is one sentence that says what was found and what to do about it."""


class TrainingError(RuntimeError):
    """Base of the errors that end a run; :func:`facekit.training.command_line` prints them without a traceback."""


class ConfigError(TrainingError, ValueError):
    """A setting is unknown, has the wrong type, or does not fit with another one."""


class LaunchError(TrainingError):
    """The environment does not describe a usable set of processes."""


class CheckpointError(TrainingError):
    """A checkpoint is truncated, foreign, or belongs to another run."""


class OutputError(TrainingError):
    """The folder of the run cannot be written to any more: the disk is full, say."""


class NonFiniteError(TrainingError):
    """A loss term or a gradient is NaN or infinite."""


class DeviceMemoryError(TrainingError):
    """The accelerator ran out of memory."""
