// SPDX-License-Identifier: GPL-2.0-or-later
// The config file (TOML). Its names are documented in synward.toml(5) and shown in
// packaging/synward.toml; the defaults here are the defaults there.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/abi/policy.h"
#include "lib/abi/ring.h"
#include "lib/address.h"
#include "lib/classify/fates.h"
#include "lib/decide/config.h"
#include "lib/escalation/open.h"
#include "lib/result.h"

namespace synward {

inline constexpr std::string_view default_control_path = "/run/synward/control.sock";
inline constexpr std::uint32_t default_flows = 65536;      // SW_FLOWS
inline constexpr std::uint32_t default_sources = 131'072;  // SW_SOURCES

// What [defaults] and every [[service]] may say.
struct Settings {
    sw_mode mode = SW_MODE_AUTO;
    sw_delivery delivery = SW_DELIVERY_AUTO;
    sw_action stray = SW_ACTION_DROP;
    sw_action fragment = SW_ACTION_PASS;
    sw_action malformed = SW_ACTION_DROP;
    sw_action odd_syn = SW_ACTION_PASS;           // SYNs with unusual options; pass: answered like any
    std::uint32_t escalate_rate = 1000;           // packets a second that the daemon is asked about
    sw_action escalate_default = SW_ACTION_DROP;  // what exceeds it: pass or drop
    std::uint32_t arm_rate = 2000;                // SYNs a second that arm the service
    std::optional<std::uint32_t> disarm_rate;     // below it the hold time runs; half of arm_rate
    std::chrono::milliseconds hold{10'000};       // armed at least this long
    // What the SYN-ACK announces; what is not given mirrors the host.
    std::optional<std::uint16_t> mss;    // at most this; never more than the MTU allows
    std::optional<std::uint8_t> wscale;  // shift count, 0 to 14
    std::optional<bool> sack;
    std::optional<bool> timestamps;
    std::optional<bool> ecn;

    [[nodiscard]] std::uint32_t disarm() const { return disarm_rate.value_or(arm_rate / 2); }
};

struct ServiceConfig {
    std::string name;  // 1 to SW_NAME_LENGTH - 1 characters
    std::vector<std::uint16_t> ports;
    std::vector<Address> addresses;  // without these and `local`: every address
    bool local = false;              // whatever is local on the interface, too
    // What that is: of one interface, for compile_policy(); see lib/local_services.h.
    std::vector<Prefix> local_prefixes;
    bool listener = false;  // not in the file: something listens there
    Settings settings;      // defaults and own, merged

    [[nodiscard]] bool everywhere() const { return addresses.empty() && !local; }
};

struct DaemonConfig {
    // Where the section begins; the file's beginning where there is none.
    unsigned line = 1;
    unsigned column = 1;
    std::vector<std::string> interfaces;
    std::string log_level = "info";  // trace, debug, info, warn, error
    std::string control{default_control_path};
    std::string object;  // path of synward.bpf.o; empty: searched, see lib/object.h
    std::chrono::milliseconds key_rotation{3'600'000};
    std::chrono::milliseconds learn_interval{60'000};  // between two walks over the sockets
    bool generic = false;                              // attach in generic mode without trying the driver's
    bool listening = false;       // services = "listening": whatever listens is protected, by [defaults]
    std::optional<bool> gateway;  // connections are forwarded; by default where a service says synproxy
};

struct LimitsConfig {
    std::uint32_t reply_rate = 0;         // SYN-ACKs a second of the interface; 0: no limit
    std::uint32_t prefix_rate = 20'000;   // SYN-ACKs a second to one source prefix (/24, /48); 0: no limit
    std::uint32_t flows = default_flows;  // entries of the flow table, rounded up to a power of two
    // Single addresses, and prefixes, that the driver hook can deny or allow on one
    // interface; of each kind and family so many. Taken when the programs are attached.
    std::uint32_t sources = default_sources;
};

// How doubtful packets reach the daemon. It asks for them only where a service
// (or [defaults]) escalates something: see Config::escalates().
struct EscalationConfig {
    bool enabled = true;  // transport = "none": nobody is asked, whatever the services say
    TransportChoice transport = TransportChoice::automatic;
    std::uint16_t queues = 1;                   // rings or queues, each with a thread of its own
    std::uint16_t queue = default_first_queue;  // number of the first nfnetlink queue
    std::uint32_t slots = 4096;                 // packets that wait in one of them; a power of two
    std::chrono::milliseconds deadline{200};    // ring: a packet is held at most this long
    sw_ring_fail fail = SW_RING_FAIL_ACCEPT;    // no verdict in time, no room, no daemon
    // Of the ring only.
    sw_ring_mode mode = SW_RING_HOLD;            // or dropped at once, and only the copy is judged
    sw_ring_fanout fanout = SW_RING_FANOUT_CPU;  // what decides which ring a packet goes to

    bool operator==(const EscalationConfig&) const = default;
};

struct SourcesConfig {
    std::vector<Prefix> deny;
    std::vector<Prefix> allow;
};

// Who writes the class byte of new connections into the conntrack mark.
enum class Marker : std::uint8_t {
    automatic,  // module where it is loaded, else mangle
    module,     // the kernel module's hook
    mangle,     // rules of iptables in the table mangle
    none,
};
// What happens when somebody takes the one rule away.
enum class RuleKeeping : std::uint8_t { restore, report, none };  // none: there is no rule

// ipsets whose entries carry fates. The sets act at the driver hook in any case; the
// conntrack mark and the one rule are wanted where the config has a section [classify].
struct ClassifyConfig {
    bool enabled = false;  // there is a section [classify]
    // The first set that has an entry decides. A set that does not exist (yet) is waited for.
    std::vector<std::string> sets{"synward4-port", "synward6-port", "synward4",
                                  "synward6",      "synward-deny4", "synward-deny6"};
    Marker marker = Marker::automatic;
    RuleKeeping rule = RuleKeeping::restore;
    bool remark = true;                          // a changed set changes the marks of connections that exist
    std::chrono::milliseconds poll{50};          // where the kernel does not report changes of sets
    std::chrono::milliseconds reconcile{1'000};  // everything is read anew so often
    Fates fates;

    bool operator==(const ClassifyConfig&) const = default;
};

// For Prometheus, at http://listen/metrics.
struct MetricsConfig {
    std::optional<Endpoint> listen;  // without: nowhere
};

struct Config {
    DaemonConfig daemon;
    Settings defaults;
    LimitsConfig limits;
    EscalationConfig escalation;
    DecideConfig decide;
    RecordConfig record;  // of [decide] in the file
    SourcesConfig sources;
    ClassifyConfig classify;
    MetricsConfig metrics;
    std::vector<ServiceConfig> services;

    // Whether anything goes up to the daemon.
    [[nodiscard]] bool escalates() const;
};

// Parses and checks. `name` is what messages call the file. The error (code
// `config`) has one line for every mistake: "FILE:LINE:COLUMN: KEY: what is
// wrong; what is allowed". Pure: reads nothing but `text`.
[[nodiscard]] Result<Config> parse_config(std::string_view text, std::string_view name);

// Reads the file, then parse_config(). An unreadable file is code `missing` or `privilege`.
[[nodiscard]] Result<Config> load_config(const std::string& path);

// A config without interfaces will do for a command that is given some, not for synwardd: code
// `config`, at the line of [daemon].
[[nodiscard]] Result<void> check_interfaces(const Config& config, std::string_view name);
// load_config(), then check_interfaces().
[[nodiscard]] Result<Config> load_daemon_config(const std::string& path);

// "250ms", "10s", "5m", "1h", "1d"; nothing for anything else or what overflows.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// The shortest form that parse_duration() reads back.
[[nodiscard]] std::string duration_text(std::chrono::milliseconds value);

// The word of `words` that looks like `word`, or an empty view: for "did you mean".
[[nodiscard]] std::string_view closest(std::string_view word, const std::vector<std::string_view>& words);

}  // namespace synward
