#!/usr/bin/env bash
# A Prefect server (SQLite, basic auth) and a runner that serves the deployment lab/lab. `restart` is the server's.
. "$(dirname "$0")/common.sh"
needs "$PYTHON" curl setsid

install() { venv prefect; }

start() {
  local port
  read -r port < <(free_ports 1)
  printf '%s\n' "PREFECT_API_URL=http://127.0.0.1:$port/api" PREFECT_API_AUTH_STRING=lab:lab-only >"$ENVIRONMENT"
  . "$ENVIRONMENT"
  cp "$HERE/prefect_lab.py" "$RUN" && cd "$RUN" && serve || return
  wait_for health || return
  spawn runner "${settings[@]}" bash -c "while :; do '$FOLDER/venv/bin/python' prefect_lab.py; done"
}

serve() {
  local port=${PREFECT_API_URL#http://127.0.0.1:}
  settings=(
    PREFECT_HOME="$RUN/home" PREFECT_SERVER_MEMO_STORE_PATH="$RUN/home/memo.toml" PREFECT_API_URL="$PREFECT_API_URL"
    PREFECT_API_AUTH_STRING="$PREFECT_API_AUTH_STRING" PREFECT_SERVER_API_AUTH_STRING="$PREFECT_API_AUTH_STRING"
    PREFECT_SERVER_ANALYTICS_ENABLED=false PREFECT_SERVER_UI_ENABLED=false DO_NOT_TRACK=1 PREFECT_CLI_PROMPT=false
    PREFECT_RUNNER_POLL_FREQUENCY=1 PREFECT_LOGGING_TO_API_BATCH_INTERVAL=0.5
  )
  spawn server "${settings[@]}" "$FOLDER/venv/bin/prefect" server start --host 127.0.0.1 --port "${port%/api}"
}

health() { curl -fsS -m 5 -u "$PREFECT_API_AUTH_STRING" "$PREFECT_API_URL/health"; }

answers() {
  . "$ENVIRONMENT"
  curl -fsS -m 5 -u "$PREFECT_API_AUTH_STRING" "$PREFECT_API_URL/deployments/name/lab/lab" | grep -q '"status":"READY"'
}

main "$@"
