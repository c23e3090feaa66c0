#!/usr/bin/env bash
# Airflow: API server, scheduler and DAG processor (SQLite, local executor). Tokens of logins live for AIRFLOW_LAB_TOKENS
# seconds (20). `restart` is the API server's.
. "$(dirname "$0")/common.sh"
PATIENCE=300    # on a busy machine
needs "$PYTHON" curl setsid

install() { venv apache-airflow; }

start() {
  local port secret
  read -r port < <(free_ports 1)
  secret=$(od -An -N48 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s\n' "AIRFLOW_URL=http://127.0.0.1:$port" AIRFLOW_USERNAME=lab AIRFLOW_PASSWORD=lab-only >"$ENVIRONMENT"
  echo "$secret" >"$RUN/secret"
  . "$ENVIRONMENT"
  mkdir -p "$RUN"/{home,dags} && cp "$HERE/airflow_lab.py" "$RUN/dags" || return
  echo '{"lab": "lab-only"}' >"$RUN/passwords.json"
  configure
  env "${settings[@]}" airflow db migrate >"$RUN/migrate.log" 2>&1 && serve || return
  spawn scheduler "${settings[@]}" airflow scheduler --skip-serve-logs
  spawn processor "${settings[@]}" airflow dag-processor
}

serve() { configure && spawn server "${settings[@]}" airflow api-server; }

configure() {    # SPT_NOENV: processes that rename themselves keep their environment readable, and with it the mark
  settings=(
    SPT_NOENV=1 PATH="$FOLDER/venv/bin:$PATH" AIRFLOW_HOME="$RUN/home" SCARF_ANALYTICS=false DO_NOT_TRACK=1
    AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$RUN/dags" AIRFLOW__CORE__EXECUTOR=LocalExecutor
    AIRFLOW__CORE__PARALLELISM=4 AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=lab:admin
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE="$RUN/passwords.json"
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL="$AIRFLOW_URL/execution/"
    AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT="${AIRFLOW_URL##*:}" AIRFLOW__API__BASE_URL="$AIRFLOW_URL"
    AIRFLOW__API__WORKERS=1 AIRFLOW__API__SECRET_KEY="$(<"$RUN/secret")" AIRFLOW__API_AUTH__JWT_SECRET="$(<"$RUN/secret")"
    AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME="${AIRFLOW_LAB_TOKENS:-20}" AIRFLOW__API_AUTH__JWT_LEEWAY=0
    AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK=False AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=5 AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=5
  )
}

ask() { curl -fsS -m 5 "$@"; }

answers() {
  local token
  . "$ENVIRONMENT"
  token=$(ask "$AIRFLOW_URL/auth/token" -H 'Content-Type: application/json' \
    -d "{\"username\": \"$AIRFLOW_USERNAME\", \"password\": \"$AIRFLOW_PASSWORD\"}" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  ask -H "Authorization: Bearer $token" "$AIRFLOW_URL/api/v2/dags" | grep -q '"dag_id":"lab"' &&
    ask "$AIRFLOW_URL/api/v2/monitor/health" | grep -q '"scheduler":{"status":"healthy"'
}

main "$@"
