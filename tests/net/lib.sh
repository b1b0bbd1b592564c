# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the network tests share. A test sources it, builds a lab of namespaces
# with random names, and reports in KTAP: `ok N what` or `not ok N what`.
#
#   client ($C, $CDEV) 192.0.2.2, 2001:db8:1::2  <-veth->  192.0.2.1, 2001:db8:1::1 server ($S, $SDEV)
#
# Spoofed sources are of 198.18.0.0/15 and 2001:db8:f::/48, which the server
# routes to the client. On exit every namespace, process and file is gone.
set -euo pipefail

net_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
ROOT=$(readlink -f "$net_dir/../..")
BUILD=${SYNWARD_BUILD:-$ROOT/build}
OBJECT=$BUILD/xdp/synward.bpf.o
SYNWARD=$BUILD/tools/synward
SYNWARDD=$BUILD/daemon/synwardd
PASS_OBJECT=$BUILD/tests/net/pass.bpf.o
PEER=$net_dir/peer.py
PATH=$PATH:/usr/sbin:/sbin
SKIP=4 # exit status: what the test needs is not there

S4=192.0.2.1 C4=192.0.2.2 S6=2001:db8:1::1 C6=2001:db8:1::2
# Emulated guests are some twenty times slower: every limit of time is stretched.
SLOW=1
[[ -z ${SYNWARD_GUEST-} ]] || SLOW=6

TMP=$(mktemp -d)
ktap_number=0
ktap_failed=0
lab_namespaces=()
lab_processes=()

lab_cleanup() {
    local status=$? pid name
    set +e
    # A test that died between two checks must not look like one that passed.
    ((status == 0 || status == 1 || status == SKIP)) || echo "not ok $((ktap_number + 1)) the script itself (status $status)"
    if ((status && status != SKIP)); then
        for name in "$TMP"/*.log; do
            [[ ! -s $name ]] || sed "s|^|# $(basename "$name"): |" "$name" | tail -n 40
        done
    fi
    for pid in "${lab_processes[@]}"; do kill -9 "$pid" 2>/dev/null; done
    for pid in "${lab_processes[@]}"; do wait "$pid" 2>/dev/null; done
    for name in "${lab_namespaces[@]}"; do ip netns del "$name" 2>/dev/null; done
    rm -rf "$TMP"
    exit "$status"
}
trap lab_cleanup EXIT
trap 'exit 143' TERM INT HUP

# --- reporting ---------------------------------------------------------------

ok() {
    ktap_number=$((ktap_number + 1))
    echo "ok $ktap_number $1"
}

not_ok() { # WHAT [DETAIL]
    ktap_number=$((ktap_number + 1))
    ktap_failed=$((ktap_failed + 1))
    echo "not ok $ktap_number $1"
    [[ -z ${2-} ]] || printf '#   %s\n' "${2//$'\n'/$'\n#   '}"
}

# check WHAT COMMAND...: the command's success is the result.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$what"; else not_ok "$what" "$* said (status $?): $output"; fi
}

# ends_well WHAT PID LOG: a process of spawn ends with status 0.
ends_well() {
    local status=0
    wait "$2" || status=$?
    if ((status)); then not_ok "$1" "status $status: $(tail -n 5 "$TMP/$3.log")"; else ok "$1"; fi
}

# is WHAT ACTUAL EXPECTED
is() {
    if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "got '$2', expected '$3'"; fi
}

# matches WHAT ACTUAL REGEX
matches() {
    if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got '$2', expected a match of '$3'"; fi
}

# at_least WHAT ACTUAL NUMBER
at_least() {
    if (("$2" >= "$3")); then ok "$1"; else not_ok "$1" "got $2, expected at least $3"; fi
}

note() { echo "# $*"; }

# Ends the test: the plan, and the exit status.
finish() {
    echo "1..$ktap_number"
    ((ktap_number)) || { echo "not ok 1 no check was made" && exit 1; }
    exit $((ktap_failed > 0))
}

skip() {
    echo "1..0 # SKIP $*"
    echo "SKIPPED: $(basename "$0"): $*" >&2
    exit $SKIP
}

# --- what the machine must have ----------------------------------------------

need_root() { ((EUID == 0)) || skip "needs root"; }

need_tool() {
    local tool
    for tool; do command -v "$tool" >/dev/null || skip "$tool is not installed (tools/install-packages test)"; done
}

# Modules are loaded on demand in guests; a kernel without them has it built in, or has it not.
want_module() {
    local module
    for module; do modprobe -q "$module" 2>/dev/null || true; done
}

# TRANSPORT=ring|nfqueue chooses how doubtful packets travel; else it is what the kernel
# offers. For the ring the module is loaded, and goes at the test's end: unload_ring.
TRANSPORT=${TRANSPORT:-auto}
ring_loaded=
want_transport() {
    want_module nft_queue nfnetlink_queue nf_conntrack_netlink xt_NFQUEUE nft_compat
    [[ $TRANSPORT == ring && ! -e /dev/synward ]] || return 0
    [[ -r ${SYNWARD_MODULE-} ]] || skip "the module is not loaded, and SYNWARD_MODULE names none"
    want_module ip_set
    insmod "$SYNWARD_MODULE"
    ring_loaded=yes
}
# A reader that was just killed may not have let go of it yet.
unload_ring() { [[ -z $ring_loaded ]] || check "the module can be taken away" wait_for 5 rmmod synward; }

kernel_at_least() { # MAJOR.MINOR
    [[ $(printf '%s\n' "$1" "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" | sort -V | head -n 1) == "$1" ]]
}

# --- waiting -----------------------------------------------------------------

# wait_for SECONDS COMMAND...: polls until the command succeeds; 1 after the time.
wait_for() {
    local deadline=$((SECONDS + $1 * SLOW + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

must_wait_for() { # WHAT SECONDS COMMAND...
    local what=$1
    shift
    wait_for "$@" || { not_ok "$what" "not within $1 s: ${*:2}" && exit 1; }
}

# --- namespaces and processes --------------------------------------------------

lab_suffix=$(printf '%05x' $((RANDOM * 32768 + RANDOM)))

# namespace VARIABLE LETTER: makes one, with loopback up and nothing of the host's.
namespace() {
    local name=sw$2-$lab_suffix
    ip netns add "$name"
    lab_namespaces+=("$name")
    ip -n "$name" link set lo up
    ip netns exec "$name" sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    printf -v "$1" %s "$name"
}

in_ns() {
    local name=$1
    shift
    ip netns exec "$name" "$@"
}

# spawn VARIABLE LOG NAMESPACE COMMAND...: in the background, until the test ends.
spawn() {
    local variable=$1 log=$TMP/$2.log name=$3
    shift 3
    ip netns exec "$name" "$@" >>"$log" 2>&1 </dev/null &
    lab_processes+=("$!")
    printf -v "$variable" %s "$!"
}

# stop PID [SIGNAL]: and wait until it is gone.
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# wire NS1 DEV1 NS2 DEV2: a veth pair. The far end of frames that XDP sends must
# run NAPI: it gets an XDP program that passes everything.
wire() {
    want_module veth
    ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

pass_program() { # NS DEV
    if [[ ! -r $PASS_OBJECT ]]; then
        echo "tests/net: $PASS_OBJECT is missing: build the target net_pass" >&2
        exit 1
    fi
    ip -n "$1" link set dev "$2" xdpdrv obj "$PASS_OBJECT" sec xdp
}

address() { # NS DEV ADDRESS/LENGTH...
    local name=$1 device=$2 item
    shift 2
    for item; do
        if [[ $item == *:* ]]; then
            ip -n "$name" addr add "$item" dev "$device" nodad
        else
            ip -n "$name" addr add "$item" dev "$device"
        fi
    done
}

# The lab of one client and one server, as drawn at the top.
lab() {
    need_root
    need_tool ip ss curl nginx ethtool
    namespace C c
    namespace S s
    CDEV=c0 SDEV=s0
    wire "$C" "$CDEV" "$S" "$SDEV"
    pass_program "$C" "$CDEV"
    address "$C" "$CDEV" "$C4/24" "$C6/64"
    address "$S" "$SDEV" "$S4/24" "$S6/64"
    ip -n "$S" route add 198.18.0.0/15 via "$C4"
    ip -n "$S" -6 route add 2001:db8:f::/48 via "$C6"
    # Neighbours are known: no test is about ARP, and no first packet waits for it.
    local cmac smac
    cmac=$(in_ns "$C" cat "/sys/class/net/$CDEV/address")
    smac=$(in_ns "$S" cat "/sys/class/net/$SDEV/address")
    ip -n "$S" neigh replace "$C4" lladdr "$cmac" dev "$SDEV"
    ip -n "$S" neigh replace "$C6" lladdr "$cmac" dev "$SDEV"
    ip -n "$C" neigh replace "$S4" lladdr "$smac" dev "$CDEV"
    ip -n "$C" neigh replace "$S6" lladdr "$smac" dev "$CDEV"
}

# --- servers and clients ---------------------------------------------------------

listening() { # NS PORT
    [[ -n $(in_ns "$1" ss -tlnH "sport = :$2") ]]
}

# nginx of its own, with its own configuration: `start_nginx [NS [PORT]]`. Serves
# /small, and $LARGE bytes as /large where a test asks for it (make_large).
LARGE=$((50000000 / SLOW))
make_large() { head -c "$LARGE" /dev/urandom >"$TMP/nginx/www/large"; }
start_nginx() {
    local name=${1:-$S} port=${2:-80} folder=$TMP/nginx
    mkdir -p "$folder/www"
    echo "hello from synward's test" >"$folder/www/small"
    chmod 755 "$TMP" "$folder" "$folder/www"
    cat >"$folder/nginx.conf" <<END
daemon off;
master_process off;
pid $folder/nginx.pid;
error_log stderr;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    server {
        listen $port;
        listen [::]:$port;
        root $folder/www;
        location /upload { return 200 "taken\n"; }
    }
}
END
    spawn NGINX nginx "$name" nginx -p "$folder" -c "$folder/nginx.conf"
    must_wait_for "nginx listens" 10 listening "$name" "$port"
}

# fetch URL: one request by curl from the client; output is the body.
fetch() { in_ns "${FROM:-$C}" curl -sS --fail --noproxy '*' --max-time $((10 * SLOW)) "$@"; }

peer() { # NS COMMAND...
    local name=$1
    shift
    PEER_SLOW=$SLOW in_ns "$name" /usr/bin/python3 "$PEER" "$@"
}

# start_server PORT [OPTION]...: the Python server of peer.py; its pid is in $SERVER.
start_server() {
    spawn SERVER "server-$1" "${AT:-$S}" /usr/bin/python3 "$PEER" serve --port "$@"
    must_wait_for "a server listens on port $1" 10 listening "${AT:-$S}" "$1"
}

# refused NS HOST PORT [OPTION]...: the connection is reset at once, not left to time out.
refused() {
    local output
    output=$(peer "$1" connect "${@:2}" --timeout 3) || true
    [[ $output == *ConnectionRefusedError* ]] || { echo "$output" && return 1; }
}

# start_pinger NAME HOST PORT: one connection that sends a line and awaits its
# echo, again and again.
start_pinger() {
    local name=$1
    shift
    : >"$TMP/ping-$name"
    spawn PINGER "ping-$name" "${FROM:-$C}" /usr/bin/python3 "$PEER" ping --progress "$TMP/ping-$name" "$@"
    echo "$PINGER" >"$TMP/pid-$name"
    must_wait_for "a connection to $*" 10 pings_reach "$name" 3
}
pings_reach() { (($(wc -l <"$TMP/ping-$1") >= $2)); }
still_pinging() { # WHAT NAME
    local seen
    seen=$(wc -l <"$TMP/ping-$2")
    if wait_for 10 pings_reach "$2" $((seen + 5)); then ok "$1"; else not_ok "$1" "the connection is stuck or broken: $(cat "$TMP/ping-$2.log")"; fi
}

# Options of the connections with a port, as ss sees them, one line each.
options_of() { # NS sport|dport PORT
    in_ns "$1" ss -tieonH state established "$2 = :$3" 2>/dev/null | grep -oE '\b(ts|sack|ecn|ecnseen|fastopen|wscale:[0-9,]+|mss:[0-9]+|advmss:[0-9]+)\b' | sort | tr '\n' ' '
}

# A counter of the kernel in a namespace (TcpExtSyncookiesSent, ...).
kernel_count() { # NS NAME
    in_ns "$1" nstat -asz "$2" 2>/dev/null | awk -v name="$2" '$1 == name { print $2 }'
}

# --- synward -----------------------------------------------------------------------

synward() { in_ns "${ON:-$S}" "$SYNWARD" "$@"; }

# config < SERVICES: writes the config file; what is read is appended to [daemon].
CONFIG=$TMP/synward.toml
CONTROL=$TMP/control.sock
export SYNWARD_SOCKET=$CONTROL
config() {
    {
        printf '[daemon]\ninterfaces = ["%s"]\ncontrol = "%s"\nobject = "%s"\n' "${SDEV:?}" "$CONTROL" "$OBJECT"
        cat
    } >"$CONFIG"
}

# The usual policy: cookies for the ports named.
config_cookie() { # PORT...
    local ports=$*
    printf '[[service]]\nname = "web"\nport = [%s]\nmode = "cookie"\n' "${ports// /, }" | config
}

start_daemon() {
    # Before Linux 6.9 the listener checks the kernel's cookies itself, and does so
    # only under these settings (docs/kernels.md).
    kernel_at_least 6.9 || in_ns "${ON:-$S}" sysctl -q -w net.ipv4.tcp_syncookies=2 net.ipv4.tcp_timestamps=2
    rm -f "$CONTROL"
    spawn DAEMON synwardd "${ON:-$S}" "$SYNWARDD" -c "$CONFIG"
    must_wait_for "synwardd enforces its policy" 20 daemon_ready
}
daemon_ready() { [[ -S $CONTROL && $(synward status -j) == *'"policy":true'* ]]; }

# reload: SIGHUP, and wait until the daemon has said what became of it.
reload() {
    local before
    before=$(reloads)
    kill -HUP "$DAEMON"
    must_wait_for "the daemon reloads" 10 reloads_exceed "$before"
}
reloads() { grep -cE 'reloaded:|reload failed' "$TMP/synwardd.log" || true; }
reloads_exceed() { (($(reloads) > $1)); }

# detail KEY: a number of `synward status --details`.
detail() {
    local json
    json=$(synward status --details -j) || return 1
    [[ $json =~ \"$1\":[[:space:]]*(-?[0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# reason NAME: packets that went that way, over all services of the interface.
# (Looked up by a regular expression: an interpreter for each number is slow in guests.)
reason() {
    local json total
    json=$(synward stats --interface "$SDEV" -j) || return 1
    total='"total":[[:space:]]*\{([^}]*)\}'
    [[ $json =~ $total ]] || { echo "no total in: $json" >&2 && return 1; }
    total=${BASH_REMATCH[1]}
    if [[ $total =~ \"$1\":[[:space:]]*([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; else echo 0; fi
}

# grew WHAT NAME BEFORE [BY]: the counter rises by so many (default 1) within a few seconds.
reason_grew() { (($(reason "$1") >= $2)); }
grew() {
    local wanted=$(($3 + ${4:-1}))
    if wait_for 5 reason_grew "$2" "$wanted"; then ok "$1"; else not_ok "$1" "$2 is $(reason "$2"), expected at least $wanted"; fi
}

# field KEY: the first value of that name in `synward status -j`.
field() {
    local json
    json=$(synward status --interface "$SDEV" -j) || return 1
    [[ $json =~ \"$1\":[[:space:]]*\"?([^,\"}]*) ]] || { echo "no $1 in: $json" >&2 && return 1; }
    echo "${BASH_REMATCH[1]}"
}

# The kernel made no SYN cookie: synward left it none to make. (With delivery
# `kernel` the cookies are the kernel's, and are counted there.)
no_kernel_cookie() {
    if kernel_at_least 6.9; then
        is "the kernel had to make no SYN cookie" "$(kernel_count "$S" TcpExtSyncookiesSent)" 0
    fi
}

# start_flood SECONDS [OPTION]...: spoofed packets from the client's end, in the
# background, bounded in time and number. Its pid is in $FLOOD, what it sent in flood.log.
start_flood() {
    local seconds=$1
    shift
    spawn FLOOD flood "$C" /usr/bin/python3 "$net_dir/flood.py" --device "$CDEV" --seconds "$seconds" \
        --mac "$(in_ns "$S" cat "/sys/class/net/$SDEV/address")" "$@"
}

# by_hand HOST PORT [OPTION]...: a handshake made by raw.py from an address that
# no namespace has, so that no kernel meddles.
RAW4=192.0.2.200 RAW6=2001:db8:1::200
by_hand() {
    hand_words "$@"
    in_ns "$C" "${hand[@]}"
}
# start_by_hand VARIABLE LOG HOST PORT [OPTION]...: the same in the background.
start_by_hand() {
    hand_words "${@:3}"
    spawn "$1" "$2" "$C" "${hand[@]}"
}
hand=()
hand_words() { # HOST PORT [OPTION]...: the command, in $hand
    local host=$1 port=$2 source=$RAW4 mac
    shift 2
    [[ $host != *:* ]] || source=$RAW6
    mac=$(in_ns "$C" cat "/sys/class/net/$CDEV/address")
    ip -n "$S" neigh replace "$source" lladdr "$mac" dev "$SDEV"
    hand=(env PEER_SLOW="$SLOW" /usr/bin/python3 "$net_dir/raw.py" --device "$CDEV" --source "$source"
        --mac "$(in_ns "$S" cat "/sys/class/net/$SDEV/address")" --host "$host" --port "$port" "$@")
}
