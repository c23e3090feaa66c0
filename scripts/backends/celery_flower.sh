#!/usr/bin/env bash
# A Celery worker and Flower's REST API, on a redis of their own (Debian's package, unpacked, not installed).
. "$(dirname "$0")/common.sh"
needs "$PYTHON" curl setsid

SERVER=$FOLDER/unpacked/usr/bin/redis-server

install() {
  # kombu imports packaging and does not declare it
  venv celery==5.7.0 flower==2.2.0 redis==8.1.0 packaging || return
  command -v redis-server && return
  [ "$(id -u)" = 0 ] && command -v apt-get && command -v dpkg || { echo "there is no redis-server"; return 1; }
  unpack redis-server redis-tools liblzf1 libjemalloc2 liblua5.1-0
}

start() {
  local server port redis url celery
  server=$(command -v redis-server || echo "$SERVER")
  read -r port redis < <(free_ports 2)
  url=redis://127.0.0.1:$redis
  celery=(
    PYTHONPATH="$HERE" PYTHONDONTWRITEBYTECODE=1 CELERY_LAB_REDIS="$url"
    "$FOLDER/venv/bin/celery" -A celery_lab
  )
  cd "$RUN" || return
  spawn redis LD_LIBRARY_PATH="$FOLDER/unpacked/usr/lib/$(uname -m)-linux-gnu" \
    "$server" --bind 127.0.0.1 --port "$redis" --dir "$RUN" --save '' --daemonize no
  spawn worker "${celery[@]}" worker --task-events --concurrency 2 --loglevel INFO --hostname lab@local
  spawn flower "${celery[@]}" flower --address=127.0.0.1 --port="$port" --basic-auth=lab:lab-only
  printf '%s\n' "FLOWER_URL=http://127.0.0.1:$port" FLOWER_USERNAME=lab FLOWER_PASSWORD=lab-only >"$ENVIRONMENT"
}

answers() {
  local FLOWER_URL="" FLOWER_USERNAME="" FLOWER_PASSWORD=""
  . "$ENVIRONMENT"
  curl -fsS -m 5 -u "$FLOWER_USERNAME:$FLOWER_PASSWORD" "$FLOWER_URL/api/workers?refresh=1" | grep -q lab.work
}

main "$@"
