"""Real processes: respawn, events, timers, output, and the ordered end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Output

from brs_launch.runner import Launch

Write = Callable[..., Path]
Start = Callable[..., Launch]

SLEEP = "ExecuteProcess(cmd=SLEEPER, name='sleeper', output='screen')"
# Told by a file that the signals are blocked: only then may they be sent.
STUBBORN = (
    "python('import signal, time\\n"
    "for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\\n"
    "print(\"up\", flush=True)\\ntime.sleep(60)', name='stubborn')"
)


def test_launch_ends_when_all_processes_have(write: Write, start: Start, output: Output) -> None:
    launch = start(write("python('print(1)'), python('print(2)')"))
    assert launch.wait() == 0
    assert {("program-1", "1"), ("program-2", "2")} <= set(output.lines)
    assert launch.running == {}


def test_empty_description_ends_at_once(write: Write, start: Start) -> None:
    assert start(write("")).wait() == 0


def test_user_shutdown_ends_with_sigint_and_status_0(
    write: Write, start: Start, output: Output
) -> None:
    launch = start(write(f"{SLEEP}, {SLEEP.replace('sleeper', 'other')}"), sigterm_timeout="1000")
    output.wait_for("up", 2)
    launch.shutdown()
    assert launch.wait() == 0
    assert output.count("KeyboardInterrupt") == 2
    assert launch.escalated == {}


def test_handlers_react_before_any_process_is_signalled(
    write: Write, start: Start, output: Output
) -> None:
    launch = start(
        write(
            f"{SLEEP}, RegisterEventHandler(OnShutdown(on_shutdown=[LogInfo(msg='handled')])),"
            "RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context:"
            " LogInfo(msg='because ' + event.reason)))"
        )
    )
    output.wait_for("up")
    launch.shutdown("of rain")
    launch.wait()
    assert output.index("handled") < output.index("because of rain")
    assert output.index("because of rain") < output.index("KeyboardInterrupt")


def test_child_deaf_to_sigint_and_sigterm_is_killed_and_named(
    write: Write, start: Start, output: Output
) -> None:
    short = f"{STUBBORN[:-1]}, sigterm_timeout='0.1', sigkill_timeout='0.1')"
    launch = start(write(f"{short}, {SLEEP}"), sigterm_timeout="1000")
    output.wait_for("up", 2)
    launch.shutdown()
    assert launch.wait() == 0
    assert launch.escalated == {"stubborn-1": "SIGKILL"}
    sigterm = output.index("stubborn-1 did not stop within 0.1 s of SIGINT: sending SIGTERM")
    assert sigterm < output.index("of SIGTERM: sending SIGKILL")


def test_hurrying_goes_on_to_the_next_signal(write: Write, start: Start, output: Output) -> None:
    launch = start(write(STUBBORN), sigterm_timeout="1000", sigkill_timeout="1000")
    output.wait_for("up")
    launch.shutdown()
    output.wait_for("stopping everything")
    launch.hurry()
    output.wait_for("when hurried of SIGINT: sending SIGTERM")
    launch.hurry()
    assert launch.wait() == 0
    assert launch.escalated == {"stubborn-1": "SIGKILL"}


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 1)])
def test_end_of_a_required_process_ends_all(
    write: Write, start: Start, output: Output, code: int, status: int
) -> None:
    launch = start(write(f"{SLEEP}, python('exit({code})', on_exit=Shutdown(reason='over'))"))
    assert launch.wait() == status
    assert output.count("program-2, which is required, has ended: over") == 1


def test_shutdown_event_ends_all_with_status_0(write: Write, start: Start) -> None:
    handler = "OnProcessExit(on_exit=[EmitEvent(event=ShutdownEvent(reason='enough'))])"
    launch = start(write(f"{SLEEP}, python('exit(3)'), RegisterEventHandler({handler})"))
    assert launch.wait() == 0


def test_required_process_stopped_by_the_user_is_no_death(
    write: Write, start: Start, output: Output
) -> None:
    launch = start(
        write("ExecuteProcess(cmd=SLEEPER, output='screen', on_exit=Shutdown(reason='over'))")
    )
    output.wait_for("up")
    launch.shutdown()
    assert launch.wait() == 0


def test_respawn_starts_again_until_its_retries_are_used(
    write: Write, start: Start, output: Output
) -> None:
    launch = start(write("python('print(\"run\"); exit(1)', respawn=True, respawn_max_retries=2)"))
    assert launch.wait() == 0
    assert output.lines.count(("program-1", "run")) == 3


def test_shutdown_cuts_the_respawn_delay_short(write: Write, start: Start, output: Output) -> None:
    launch = start(write("python('', respawn=True, respawn_delay=1000.0)"))
    output.wait_for("starts again in 1000 s")
    launch.shutdown()
    assert launch.wait() == 0
    assert output.count("started, pid") == 1


def test_exit_handlers_see_the_process_and_start_the_next(
    write: Write, start: Start, output: Output
) -> None:
    launch = start(
        write(
            "first, RegisterEventHandler(OnProcessExit(target_action=first, on_exit=after))",
            before="first = python('exit(4)', name='first')\n"
            "def after(event, context):\n"
            "    return [LogInfo(msg=f'{event.process_name} gave {event.returncode}'),\n"
            "            python('print(\"next\")', name='second')]\n",
        )
    )
    assert launch.wait() == 0
    assert output.count("first-1 gave 4") == 1  # not again for the second process
    assert ("second-2", "next") in output.lines


def test_start_handler_and_timer(write: Write, start: Start, output: Output) -> None:
    launch = start(
        write(
            "first, RegisterEventHandler(OnProcessStart(target_action=first,"
            " on_start=[LogInfo(msg='has started')])),"
            "TimerAction(period=0.05, actions=[LogInfo(msg='later'), Shutdown(reason='timed')]),"
            "TimerAction(period=1000.0, actions=[LogInfo(msg='never')]), LogInfo(msg='first')",
            before=f"first = {SLEEP}",
        )
    )
    assert launch.wait() == 0
    order = [output.index(text) for text in ("first", "has started", "later", "timed")]
    assert order == sorted(order)
    assert output.count("never") == 0


def test_failing_handler_stops_all_with_its_line(
    write: Write, start: Start, output: Output
) -> None:
    path = write(f"{SLEEP}, RegisterEventHandler(OnProcessStart(on_start=lambda e, c: 1 / 0))")
    launch = start(path)
    assert launch.wait() == 1
    assert output.count(f"{path}:") == 1 and output.count("ZeroDivisionError") == 1


def test_command_that_cannot_start_stops_all(write: Write, start: Start, output: Output) -> None:
    launch = start(write(f"{SLEEP}, ExecuteProcess(cmd=['/no/such/program'])"))
    assert launch.wait() == 1
    assert output.count("/no/such/program: No such file or directory") == 1
    assert launch.running == {}


def test_environment_reaches_the_process(write: Write, start: Start, output: Output) -> None:
    source = 'import os; print(os.environ["BRS_A"], os.environ["BRS_B"])'
    start(
        write(
            f"SetEnvironmentVariable('BRS_A', '1'),"
            f"python('{source}', additional_env={{'BRS_B': ['2', '3']}})"
        )
    ).wait()
    assert ("program-1", "1 23") in output.lines


def test_output_lines_are_whole_however_they_are_written(
    write: Write, start: Start, output: Output
) -> None:
    source = (
        'import os; w = os.write; w(1, b"a"); w(2, b"err\\\\n"); w(1, b"b\\\\r\\\\nlong");'
        ' w(1, b"x" * 100000); w(1, b"\\\\n\\\\xff")'
    )
    start(write(f"python('{source}')")).wait()
    own = [line for name, line in output.lines if name == "program-1"]
    assert sorted(own) == sorted(["ab", "err", "long" + "x" * 100000, "\ufffd"])


def test_output_log_shows_stderr_only(write: Write, start: Start, output: Output) -> None:
    source = 'import sys; print("quiet"); print("loud", file=sys.stderr)'
    start(write(f"ExecuteProcess(cmd=[sys.executable, '-c', '{source}'], name='p')")).wait()
    assert [line for name, line in output.lines if name == "p-1"] == ["loud"]


def test_processes_lead_groups_of_their_own(write: Write, start: Start, output: Output) -> None:
    launch = start(write(SLEEP))
    output.wait_for("up")
    (pid,) = launch.running.values()
    assert os.getpgid(pid) == pid


def test_what_a_process_leaves_behind_is_ended(write: Write, start: Start, output: Output) -> None:
    # Its pipes are held open by the one left behind, which must not keep the launch waiting.
    source = (
        'import subprocess, sys; print(subprocess.Popen([sys.executable, "-c",'
        ' "import time; time.sleep(60)"]).pid)'
    )
    assert start(write(f"python('{source}')")).wait() == 0
    left = next(int(line) for name, line in output.lines if name == "program-1")
    stat = Path(f"/proc/{left}/stat")
    # Gone, or dead and waiting for init to take note.
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_nodes_get_their_parameters(
    write: Write, start: Start, output: Output, prefix: Path
) -> None:
    start(
        write(
            "Node(package='brs_nodes', executable='robot', name='me', output='screen',"
            " parameters=[{'speed': 0.5}])"
        )
    ).wait()
    assert any("ros__parameters" in line and "0.5" in line for _, line in output.lines)
    assert ("robot-1", "__node:=me") in output.lines
