"""Shows a recorded episode, or any rosbag2 MCAP bag of the robot."""

from __future__ import annotations

from collections.abc import Callable

from brs_cli.view_routes import Handler, Route, find_routes, guess_namespace, wishes
from brs_cli.view_scene import Scene
from brs_hardware.errors import ConfigError
from brs_ml.episode import EpisodeError, EpisodeReader

# Messages whose numbers are sent at once.
FLUSH_EVERY = 2_000


class BagView:
    """A bag, shown in a scene.

    Args:
        reader: of the bag.
        scene: shows it.
        namespace: of the robot's topics; "" to find it out.
        say: told of what cannot be shown.

    Attributes:
        topics: that are shown.
        has_clouds: whether clouds are among them, or are made.

    Raises:
        EpisodeError: nothing can be shown.
    """

    def __init__(
        self, reader: EpisodeReader, scene: Scene, namespace: str, say: Callable[[str], None]
    ) -> None:
        self._reader, self._scene, self._say = reader, scene, say
        self._routes = self._find(namespace)
        self._handlers: dict[str, list[Handler]] = {r.topic: [r.handler] for r in self._routes}
        self.topics = sorted(self._handlers)
        self.has_clouds = any(route.handler == scene.cloud for route in self._routes)
        if reader.torn:
            say(f"{reader.path} is torn; what is whole is shown")

    def make_clouds(self, cloud: str, cloud_hz: float) -> None:
        """Fuse clouds of the recorded pictures, if all that takes is there; else say why not.

        Args:
            cloud: how they are made, in config/perception.
            cloud_hz: how many a second.
        """
        try:
            # What fuses clouds is not needed to look at the rest.
            from brs_cli.view_clouds import CloudMaker

            maker = CloudMaker(self._scene, self._routes, cloud_hz, cloud)
        except ModuleNotFoundError as error:
            self._say(
                f"no clouds: {error.name} is not installed. Try: pip install brs[perception]"
            )
            return
        except ConfigError as error:
            self._say(f"no clouds: {error}")
            return
        for topic, handler in maker.handlers.items():
            self._handlers[topic].append(handler)
            self.has_clouds = True

    def play(self, go_on: Callable[[], bool]) -> int:
        """Show all messages as far as the bag can be read and `go_on` lets; returns how many."""
        count = 0
        try:
            for message, content in self._reader.decoded(self.topics):
                for handler in self._handlers[message.topic]:
                    self._scene.take(message.topic, handler, content, message.log_time_ns)
                count += 1
                if not go_on():
                    self._say(f"stopped after {count} messages")
                    break
                if count % FLUSH_EVERY == 0:
                    self._scene.flush()
        except EpisodeError as error:
            self._say(f"{error}; shown until there, {count} messages")
        self._scene.flush()
        return count

    def _find(self, namespace: str) -> list[Route]:
        held = self._reader.topics
        present = {name: topic.type for name, topic in held.items()}
        namespace = namespace or guess_namespace(present)
        found, wrong = find_routes(wishes(self._scene), present, namespace)
        for line in wrong:
            self._say(line)
        for route in found:
            if not held[route.topic].schema_text:
                self._say(f"{route.topic}: its definition is not in the bag; not shown")
        routes = [route for route in found if held[route.topic].schema_text]
        if not routes:
            raise EpisodeError(
                f"holds nothing to show ({', '.join(sorted(present)) or 'no messages'})",
                where=str(self._reader.path),
                remedy="name the robot's namespace with --namespace",
            )
        return routes
