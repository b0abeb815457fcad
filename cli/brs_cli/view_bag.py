"""Shows a recorded episode, or any rosbag2 MCAP bag of the robot."""

from __future__ import annotations

from collections.abc import Callable

from brs_cli.view_routes import Route, find_routes, guess_namespace, wishes
from brs_cli.view_scene import Scene
from brs_ml.episode import EpisodeError, EpisodeReader

# Rows that are sent at once.
FLUSH_EVERY = 2_000


def bag_routes(
    reader: EpisodeReader, scene: Scene, namespace: str, say: Callable[[str], None]
) -> list[Route]:
    """What of a bag can be shown; says what cannot.

    Args:
        reader: of the bag.
        scene: shows it.
        namespace: of the robot's topics; "" to find it out.
        say: told of what cannot be shown.

    Raises:
        EpisodeError: nothing can be shown.
    """
    present = {name: topic.type for name, topic in reader.topics.items()}
    routes, wrong = find_routes(wishes(scene), present, namespace or guess_namespace(present))
    for line in wrong:
        say(line)
    undefined = {route for route in routes if not reader.topics[route.topic].schema_text}
    for route in undefined:
        say(f"{route.topic}: the bag has no message definition of {route.type}; not shown")
    routes = [route for route in routes if route not in undefined]
    if not routes:
        raise EpisodeError(
            f"holds nothing to show ({', '.join(sorted(present)) or 'no messages'})",
            where=str(reader.path),
            remedy="name the robot's namespace with --namespace",
        )
    return routes


def play(
    reader: EpisodeReader,
    scene: Scene,
    routes: list[Route],
    go_on: Callable[[], bool],
    say: Callable[[str], None],
) -> int:
    """Show all messages as far as the bag can be read and `go_on` lets; returns how many."""
    handlers = {route.topic: route.handler for route in routes}
    count = 0
    try:
        for message, content in reader.decoded(handlers):
            scene.take(message.topic, handlers[message.topic], content, message.log_time_ns)
            count += 1
            if not go_on():
                say(f"stopped after {count} messages")
                break
            if count % FLUSH_EVERY == 0:
                scene.flush()
    except EpisodeError as error:
        say(f"{error}; shown until there, {count} messages")
    scene.flush()
    return count
