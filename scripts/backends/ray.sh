#!/usr/bin/env bash
# A Ray head node with its Jobs API. `RAY_AUTH_MODE=token ray.sh up` asks for a bearer token.
. "$(dirname "$0")/common.sh"
needs "$PYTHON" curl setsid

install() { venv 'ray[default]==2.60.0'; }

start() {
  local mode=${RAY_AUTH_MODE:-disabled} token=""
  [ "$mode" = token ] && token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  read -r gcs dashboard agent agent_grpc client objects node runtime metrics < <(free_ports 9)
  # Without RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, Ray takes the machine's address in place of the loopback one.
  # SPT_NOENV: processes that rename themselves keep their environment readable, and with it the mark.
  spawn ray PATH="$FOLDER/venv/bin:$PATH" SPT_NOENV=1 RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 RAY_USAGE_STATS_ENABLED=0 \
    RAY_worker_register_timeout_seconds=60 RAY_AUTH_MODE="$mode" ${token:+RAY_AUTH_TOKEN="$token"} \
    ray start --head --block --node-ip-address 127.0.0.1 --port "$gcs" \
    --dashboard-host 127.0.0.1 --dashboard-port "$dashboard" \
    --dashboard-agent-listen-port "$agent" --dashboard-agent-grpc-port "$agent_grpc" \
    --ray-client-server-port "$client" --object-manager-port "$objects" --node-manager-port "$node" \
    --runtime-env-agent-port "$runtime" --metrics-export-port "$metrics" --min-worker-port 0 --max-worker-port 0 \
    --num-cpus 2 --object-store-memory 100000000 --temp-dir "$RUN/t" --disable-usage-stats --log-color false
  echo "http://127.0.0.1:$agent" >"$RUN/agent"
  {
    echo "RAY_URL=http://127.0.0.1:$dashboard"
    [ -z "$token" ] || echo "RAY_AUTH_TOKEN=$token"
  } >"$ENVIRONMENT"
}

answers() {
  local RAY_URL="" RAY_AUTH_TOKEN=""
  . "$ENVIRONMENT"
  local ask=(curl -fsS -m 5 -H "Authorization: Bearer $RAY_AUTH_TOKEN")
  # The dashboard lists jobs long before there is a node to run one: the node's agent comes up last.
  "${ask[@]}" -o /dev/null "$RAY_URL/api/jobs/" &&
    "${ask[@]}" "$(<"$RUN/agent")/api/local_raylet_healthz" | grep -q success
}

main "$@"
