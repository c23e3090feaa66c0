#!/usr/bin/env bash
# Slurm (Debian's packages, unpacked, not installed): a cluster of one node with slurmrestd, authenticated by JWT.
. "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || cannot_install "it needs root"
needs "$PYTHON" apt-get dpkg setpriv setsid curl

ROOT=$FOLDER/unpacked
LIBRARIES=$ROOT/usr/lib/$(uname -m)-linux-gnu
UNPACKED=(SLURM_CONF="$RUN/slurm.conf" LD_LIBRARY_PATH="$LIBRARIES:$LIBRARIES/slurm-wlm")
UNPACKED+=(PATH="$ROOT/usr/bin:$ROOT/usr/sbin:$PATH")
MARKS+=(-e "SLURM_CONF=$RUN/slurm.conf")    # in the environment of every job

install() {
  unpack slurmctld slurmd slurmrestd slurm-client munge slurm-wlm-jwt-plugin || return
  # A daemon decides by its name what it is: under slurmctld-wlm, auth/jwt would silently be left out.
  local daemon
  for daemon in slurmctld slurmd slurmstepd; do ln -sf "$daemon-wlm" "$ROOT/usr/sbin/$daemon" || return; done
}

in_slurm() { env "${UNPACKED[@]}" "$@"; }

configure() {
  mkdir -p "$RUN"/{state,spool} && chmod 755 "$FOLDER" "$RUN" || return
  dd if=/dev/urandom of="$RUN/munge.key" bs=1024 count=1 status=none && chmod 400 "$RUN/munge.key" || return
  dd if=/dev/urandom of="$RUN/jwt.key" bs=32 count=1 status=none && chmod 600 "$RUN/jwt.key" || return
  read -r CONTROLLER NODE REST < <(free_ports 3)
  cat >"$RUN/slurm.conf" <<C
ClusterName=lab
SlurmUser=root
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$CONTROLLER
SlurmdPort=$NODE
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$RUN/munge.sock
CredType=cred/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$RUN/jwt.key
PluginDir=$LIBRARIES/slurm-wlm
StateSaveLocation=$RUN/state
SlurmdSpoolDir=$RUN/spool
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=2
InactiveLimit=0
ReturnToService=2
NodeName=node0 NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) CPUs=2 RealMemory=1024 State=UNKNOWN
PartitionName=debug Nodes=node0 Default=YES MaxTime=INFINITE State=UP
C
  echo "CgroupAutomount=no" >"$RUN/cgroup.conf"
}

start() {
  configure || return
  local token _
  spawn munged "${UNPACKED[@]}" munged --foreground --force --key-file="$RUN/munge.key" --socket="$RUN/munge.sock" \
    --pid-file="$RUN/munged.pid" --log-file="$RUN/munged.own.log" --seed-file="$RUN/munge.seed"
  for _ in $(seq 50); do [ -S "$RUN/munge.sock" ] && break; sleep .1; done
  spawn slurmctld "${UNPACKED[@]}" slurmctld -D
  spawn slurmd "${UNPACKED[@]}" slurmd -D -N node0 -d "$ROOT/usr/sbin/slurmstepd"
  # slurmrestd refuses to run as root or as SlurmUser; SLURM_JWT=daemon lets it act for whoever brings a token.
  spawn slurmrestd "${UNPACKED[@]}" SLURM_JWT=daemon setpriv --reuid=65534 --regid=65534 --clear-groups \
    slurmrestd -a rest_auth/jwt -s openapi/v0.0.38 "127.0.0.1:$REST"
  for _ in $(seq 50); do
    token=$(in_slurm scontrol token username=root lifespan=86400 2>/dev/null | sed -n 's/^SLURM_JWT=//p')
    [ -n "$token" ] && break
    sleep .2
  done
  [ -n "$token" ] || return
  printf '%s\n' "SLURM_URL=http://127.0.0.1:$REST" SLURM_USER_NAME=root "SLURM_JWT=$token" >"$ENVIRONMENT"
  chmod 600 "$ENVIRONMENT"
}

answers() {
  local SLURM_URL="" SLURM_USER_NAME="" SLURM_JWT=""
  . "$ENVIRONMENT"
  curl -fsS -m 5 -o /dev/null -H "X-SLURM-USER-NAME: $SLURM_USER_NAME" -H "X-SLURM-USER-TOKEN: $SLURM_JWT" \
    "$SLURM_URL/slurm/v0.0.38/partitions" && [[ $(in_slurm sinfo -h -o %T) =~ ^(idle|mixed|allocated)$ ]]
}

# A job outlives the daemons, so it has to end before them.
before_stop() {
  local _
  in_slurm timeout 5 scancel -u root
  for _ in $(seq 25); do [ -z "$(in_slurm timeout 5 squeue -h)" ] && break; sleep .2; done
}

main "$@"
