#!/usr/bin/env bash
# A Dagster webserver and a daemon with a queue of runs (SQLite, no credentials). `restart` is the webserver's.
. "$(dirname "$0")/common.sh"
needs "$PYTHON" curl setsid

install() { venv dagster dagster-webserver dagster-graphql; }

start() {
  local port
  read -r port < <(free_ports 1)
  echo "DAGSTER_URL=http://127.0.0.1:$port" >"$ENVIRONMENT"
  . "$ENVIRONMENT"
  mkdir "$RUN/home" && cat >"$RUN/home/dagster.yaml" <<C
telemetry: {enabled: false}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 4, dequeue_interval_seconds: 1}
run_monitoring: {enabled: true, poll_interval_seconds: 5, cancel_timeout_seconds: 15}
C
  cp "$HERE/dagster_lab.py" "$RUN" && cd "$RUN" && serve || return
  wait_for query '{ version }' || return    # both make the database if there is none
  spawn daemon "${settings[@]}" "$FOLDER/venv/bin/dagster-daemon" run -f dagster_lab.py
}

serve() {
  settings=(DAGSTER_HOME="$RUN/home" DAGSTER_DISABLE_TELEMETRY=1 PATH="$FOLDER/venv/bin:$PATH")
  cd "$RUN" && spawn server "${settings[@]}" \
    "$FOLDER/venv/bin/dagster-webserver" -h 127.0.0.1 -p "${DAGSTER_URL##*:}" -f dagster_lab.py
}

query() { curl -fsS -m 10 -G "$DAGSTER_URL/graphql" --data-urlencode "query=$1"; }

answers() {
  local DAGSTER_URL="" found
  . "$ENVIRONMENT"
  found=$(query '{
    repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } }
    instance { daemonHealth { daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR") { healthy } } }
  }' | tr -d ' \n')
  [[ $found == *'"lab"'* && $found == *'"healthy":true'* ]]
}

main "$@"
