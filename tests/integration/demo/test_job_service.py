"""The demo's job service runs real commands, as its users meet it: on a real port; and cancels them."""

from __future__ import annotations

import time
from datetime import datetime

from tests.integration.demo.job_service import Service, is_alive, message, sh


def test_a_job_without_a_command_greets_its_name(service: Service) -> None:
    job = service.run(name="Ada")
    assert (job["state"], job["result"], job["detail"], job["name"]) == ("done", "Hello, Ada!", None, "Ada")
    assert [line["text"] for line in service.log(job["id"])][0::7] == [
        "[1/8] connecting to the input table",
        "[8/8] done",
    ]


def test_a_job_that_is_over_says_when_it_was_made_started_and_ended(service: Service) -> None:
    job = service.run("true")
    times = [datetime.fromisoformat(job[field]) for field in ("created", "started", "ended")]
    assert times == sorted(times)
    assert all(time.tzinfo for time in times)


def test_the_name_fail_makes_the_job_fail_with_its_last_words(service: Service) -> None:
    job = service.run(name="fail")
    assert (job["state"], job["detail"], job["result"]) == ("error", "exit code 3: the input table is empty", None)


def test_the_name_sleep_n_sleeps_first(service: Service) -> None:
    job = service.run(name="sleep-1")
    assert (job["state"], job["result"]) == ("done", "Hello, sleep-1!")
    assert service.log(job["id"])[0]["text"] == "slept 0 s"


def test_the_result_is_what_the_command_wrote_to_the_result_file(service: Service) -> None:
    assert service.run(*sh('echo "  forty two " > "$RESULT_FILE"; echo other'))["result"] == "forty two"


def test_without_a_result_file_the_result_is_the_last_line_of_stdout(service: Service) -> None:
    assert service.run(*sh("echo one; echo two; echo; echo three >&2"))["result"] == "two"


def test_a_job_that_gives_nothing_has_no_result(service: Service) -> None:
    job = service.run("true")
    assert (job["state"], job["result"]) == ("done", None)


def test_a_command_that_does_not_exist_is_an_error_that_names_it(service: Service) -> None:
    job = service.run("no-such-command")
    assert (job["state"], job["detail"]) == ("error", "cannot run 'no-such-command': No such file or directory")


def test_a_command_that_no_system_can_run_is_an_error_of_the_job(service: Service) -> None:
    assert service.run("echo", "a\0b")["state"] == "error"
    assert service.run("echo", "x" * 300_000)["detail"] == "cannot run 'echo': Argument list too long"


def test_a_command_killed_by_a_signal_says_which(service: Service) -> None:
    assert service.run(*sh("kill -9 $$"))["detail"] == "killed by SIGKILL"


def test_a_job_is_stopped_at_its_timeout(service: Service) -> None:
    job = service.run("sleep", "30", timeout=0.3)
    assert (job["state"], job["detail"]) == ("error", "timed out after 0.3 s")


def test_a_job_ends_with_its_command_and_takes_along_what_that_left_behind(service: Service) -> None:
    job = service.run(*sh("sleep 30 >/dev/null 2>&1 & echo $!"))
    assert job["state"] == "done"
    assert not is_alive(int(job["result"]))


def test_cancel_ends_the_whole_process_group(service: Service) -> None:
    job_id = service.submit(*sh("sleep 60 & echo $!; sleep 60"))
    service.until(job_id, lambda _: bool(service.log(job_id)))
    child = int(service.log(job_id)[0]["text"])
    assert is_alive(child)
    answer = service.http.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["id"]) == (202, job_id)
    job = service.ended(job_id)
    assert (job["state"], job["detail"], job["result"]) == ("cancelled", "cancelled", None)
    assert not is_alive(child)


def test_a_command_that_does_not_heed_sigterm_is_killed_after_two_seconds(service: Service) -> None:
    job_id = service.submit(*sh("trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done"))
    service.logged(job_id, "ready")
    began = time.monotonic()
    service.http.post(f"/jobs/{job_id}/cancel")
    assert service.ended(job_id)["state"] == "cancelled"
    assert 1.9 < time.monotonic() - began < 7  # a busy machine takes a while, too
    assert [line["text"] for line in service.log(job_id)].count("no") == 1


def test_a_job_may_be_cancelled_twice_while_it_runs(service: Service) -> None:
    job_id = service.submit("sleep", "60")
    assert [service.http.post(f"/jobs/{job_id}/cancel").status_code for _ in range(2)] == [202, 202]
    assert service.ended(job_id)["state"] == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(service: Service) -> None:
    job = service.run("true")
    answer = service.http.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, message(answer)) == (409, f"the job {job['id']!r} is over: it is done")
    assert service.get(job["id"]) == job
