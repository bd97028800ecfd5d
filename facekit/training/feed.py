"""The batches of a run, in the order in which its updates ask for them, loaded ahead where there are workers."""

from collections.abc import Iterator, Mapping
from typing import Any

from facekit.training.batches import Stream, to_device
from facekit.training.config import TrainingConfig
from facekit.training.errors import ConfigError
from facekit.training.process_group import World
from facekit.training.seeds import derive_seed
from facekit.training.updates import Update

_SINGLE = ""


class Feed:
    """Hands each update its next batch; counts the batches drawn from each stream."""

    def __init__(self, config: TrainingConfig, world: World, updates: list[Update], data: Any) -> None:
        self._config, self._world, self._updates = config, world, updates
        shared = _as_streams(data, config)
        self._streams = {u.name: shared if u.data is None else _as_streams(u.data, config) for u in updates}
        unique = {id(stream): stream for streams in self._streams.values() for stream in streams.values()}
        self._names = {key: str(number) for number, key in enumerate(unique)}
        self._unique = list(unique.values())
        for stream in self._unique:
            _check_shares(stream, world.size * config.accumulate)
        self.draws = {name: 0 for name in self._names.values()}

    def open(self, step: int, draws: Mapping[str, int]) -> None:
        """Get ready to hand out the batches from ``step`` on, after ``draws`` batches of each stream."""
        self.draws = self.draws | dict(draws)
        pin = self._world.device.type == "cuda"
        self._batches = {
            id(stream): stream.batches(self._requests(stream, step), self._config.workers, pin)
            for stream in self._unique
        }

    def next(self, update: Update, part: int) -> Any:
        """The batch for pass ``part`` of an update: of one stream, a dictionary of several streams, or None."""
        streams = self._streams[update.name]
        batch = {key: to_device(next(self._batches[id(stream)]), self._world.device) for key, stream in streams.items()}
        if part == self._config.accumulate - 1:
            for stream in streams.values():
                self.draws[self._names[id(stream)]] += 1
        return batch.get(_SINGLE, batch or None)

    def _requests(self, stream: Stream, step: int) -> Iterator[tuple[int, int, int]]:
        """(draw, part, parts) of every pass from ``step`` to the end that uses ``stream``."""
        draw = self.draws[self._names[id(stream)]]
        accumulate, world = self._config.accumulate, self._world
        places = {u.name: sum(used is stream for used in self._streams[u.name].values()) for u in self._updates}
        for index in range(step, self._config.steps):
            for update in self._updates:
                for _ in range(update.repeat if places[update.name] and update.active(index) else 0):
                    for part in range(accumulate):
                        for place in range(places[update.name]):
                            yield draw + place, part * world.size + world.rank, accumulate * world.size
                    draw += places[update.name]


def _as_streams(data: Any, config: TrainingConfig) -> dict[str, Stream]:
    if data is None:
        return {}
    if isinstance(data, Mapping):
        return {name: _as_stream(source, config, derive_seed(config.seed, name)) for name, source in data.items()}
    return {_SINGLE: _as_stream(data, config, config.seed)}


def _as_stream(source: Any, config: TrainingConfig, seed: int) -> Stream:
    return source if isinstance(source, Stream) else Stream(source, config.batch_size, seed=seed)


def _check_shares(stream: Stream, parts: int) -> None:
    if stream.batch_size % parts:
        raise ConfigError(
            f"a batch of {stream.batch_size} rows cannot be cut into {parts} equal parts (processes times accumulate)"
        )
