# What the backends' scripts share; each defines `install`, `start`, `answers` and sources this, then calls `main "$@"`.
#
#   up       install (once), start on loopback, wait until it answers, print NAME=value lines for the connector
#   ready    succeed if it is up
#   restart  end the server as a lost machine does, start it anew at the same address, wait; only if the script has `serve`
#   down     stop everything that `up` started
#
# Everything lies in the folder YAML_CONNECTOR_BACKENDS (by default in TMPDIR), and is used again; delete it at will.
# Exit codes: 0 good, 1 it does not run, 2 wrong usage, 3 it cannot be installed on this machine (stderr says why).
set -uo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
NAME=$(basename "$0" .sh)
FOLDER=${YAML_CONNECTOR_BACKENDS:-${TMPDIR:-/tmp}/yaml-connector-backends}/$NAME
RUN=$FOLDER/run                        # what one start needs: logs, state, ports; made anew by each
ENVIRONMENT=$RUN/environment           # the lines that `up` prints
MARK=YAML_CONNECTOR_BACKEND=$FOLDER    # in the environment of every process that is started, and so of its children
MARKS=(-e "$MARK")                     # what `ours` goes by; a script may add others
PYTHON=${PYTHON:-python3}
PATIENCE=120                           # seconds until it must answer

say() { echo "$NAME: $*" >&2; }
cannot_install() { say "cannot be installed here: $*"; exit 3; }
needs() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || cannot_install "there is no $tool"; done
}

# --- installing -------------------------------------------------------------------------------------------------------

# venv PACKAGE...: a virtual environment with these; NAME.txt beside the script says in which versions, if it is there
venv() {
  local constraints=$HERE/$NAME.txt
  [ ! -f "$constraints" ] || set -- -c "$constraints" "$@"
  "$PYTHON" -m venv "$FOLDER/venv" && "$FOLDER/venv/bin/pip" install -q --disable-pip-version-check "$@"
}

# unpack PACKAGE...: Debian packages, and what they need and this machine lacks, in $FOLDER/unpacked; nothing is installed
unpack() {
  local archives=$FOLDER/archives file download
  mkdir -p "$archives/partial" "$FOLDER/unpacked" || return
  download=(apt-get install -y -qq --reinstall --download-only --no-install-recommends)
  download+=(-o Dir::Cache::archives="$archives" "$@")
  "${download[@]}" || { apt-get update -qq && "${download[@]}"; } || return
  for file in "$archives"/*.deb; do dpkg -x "$file" "$FOLDER/unpacked" || return; done
}

install_once() {
  [ -z "$(find "$HERE/$NAME".* -newer "$FOLDER/installed" 2>&1)" ] && return    # again when the script has changed
  mkdir -p "$FOLDER" || cannot_install "$FOLDER cannot be written"
  say "installing into $FOLDER"
  install >"$FOLDER/install.log" 2>&1 || {
    tail -n 5 "$FOLDER/install.log" >&2
    cannot_install "see $FOLDER/install.log"
  }
  touch "$FOLDER/installed"
}

# --- starting and stopping --------------------------------------------------------------------------------------------

# free_ports N: ports of this machine that nobody listens on, below those that outgoing connections take
free_ports() {
  "$PYTHON" - "$1" <<'P'
import random, socket, sys

free = []
while len(free) < int(sys.argv[1]):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", random.randrange(20000, 30000)))
        except OSError:
            continue
        if (port := probe.getsockname()[1]) not in free:
            free.append(port)
print(*free)
P
}

# spawn LABEL COMMAND...: in the background, in a session of its own
spawn() {
  local label=$1
  shift
  setsid env "$MARK" "$@" >>"$RUN/$label.log" 2>&1 </dev/null &
  echo $! >"$RUN/$label.pid"
}

# kill_all LABEL: SIGKILL to what `spawn` started as LABEL, and to its whole session
kill_all() {
  local leader
  leader=$(<"$RUN/$1.pid")
  pkill -KILL -s "$leader" && gone 10 "$(pgrep -s "$leader" | xargs)"
}

# the processes that `up` started, and all that came from them: by their marks, by the unpacked program that they run (a
# daemon may clear its children's environment), by descent
ours() {
  {
    grep -lzxF "${MARKS[@]}" /proc/[0-9]*/environ
    find /proc/[0-9]*/exe -lname "$FOLDER/*"
  } 2>/dev/null | cut -d/ -f3 | awk '
    NR == FNR { ours[$1] = 1; next }
    { parent[$1] = $2 }
    END {
      do {
        more = 0
        for (pid in parent) if (!(pid in ours) && parent[pid] in ours) more = ours[pid] = 1
      } while (more)
      for (pid in ours) if (pid in parent) print pid
    }' - <(ps -eo pid=,ppid=,stat= | awk '$3 !~ /Z/') | xargs
}

# gone SECONDS PIDS: wait until these have ended
gone() {
  local _
  for _ in $(seq $(($1 * 5))); do ps -o stat= -p "$2" | grep -qv Z || return 0; sleep .2; done
  return 1
}

before_stop() { :; }    # a script may say what to do first

is_ready() { [ -s "$ENVIRONMENT" ] && [ -n "$(ours)" ] && answers; } 2>/dev/null

stop() {
  local pids
  [ -n "$(ours)" ] || return 0
  before_stop >/dev/null 2>&1
  pids=$(ours)
  kill -TERM $pids 2>/dev/null
  gone 5 "$pids" || { pids="$pids $(ours)"; kill -KILL $pids 2>/dev/null; gone 5 "$pids"; }
  pids=$(ours)
  [ -z "$pids" ] || { say "still running:" $pids; return 1; }
}

up() {
  is_ready && { cat "$ENVIRONMENT"; return; }
  install_once
  stop || return
  rm -rf "$RUN"
  mkdir -p "$RUN" && start || { say "does not start, see $RUN"; stop; return 1; }
  wait_for is_ready && cat "$ENVIRONMENT" || { stop; return 1; }
}

# wait_for COMMAND...: until it succeeds
wait_for() {
  local _
  for _ in $(seq $((PATIENCE * 2))); do
    "$@" >/dev/null 2>&1 && return
    [ -n "$(ours)" ] || break
    sleep .5
  done
  say "does not answer, see $RUN"
  tail -n 5 "$RUN"/*.log >&2
  return 1
}

restart() {
  declare -F serve >/dev/null || { say "cannot be restarted"; return 2; }
  is_ready || { say "is not up"; return 1; }
  kill_all server && . "$ENVIRONMENT" && serve && wait_for is_ready
}

main() {
  case "${1:-}" in
    up) up ;;
    ready) is_ready && echo ready || { echo "not ready"; return 1; } ;;
    restart) restart ;;
    down) stop ;;
    *) echo "usage: $0 up|ready|restart|down" >&2; return 2 ;;
  esac
}
