// SPDX-License-Identifier: GPL-2.0-or-later
// Control of the kernel module by generic netlink (lib/abi/genetlink.h), for the
// caller's network namespace. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/abi/genetlink.h"
#include "lib/abi/reasons.h"
#include "lib/abi/ring.h"
#include "lib/netlink.h"

namespace synward {

// By its device: to ask anything by genetlink has the kernel load it where it is not loaded.
[[nodiscard]] bool module_loaded();

// Caps of the namespace; where a field is empty, the kernel did not say, or shall not change it.
struct ModulePolicy {
    std::optional<sw_ring_fail> fail;          // for packets without a reader
    std::optional<std::uint32_t> slots;        // of all rings together
    std::optional<std::uint64_t> bytes;        // held by all rings together
    std::optional<std::uint32_t> deadline_ms;  // the most that a ring may ask for
};

struct ModuleStatus {
    std::uint32_t abi = 0;
    std::string version;
    ModulePolicy policy;
};

struct RingStatus {
    std::uint16_t ring = 0;
    std::uint16_t rings = 0;
    sw_ring_mode mode = SW_RING_HOLD;
    sw_ring_fanout fanout = SW_RING_FANOUT_CPU;
    sw_ring_fail fail = SW_RING_FAIL_ACCEPT;
    std::uint32_t slots = 0;
    std::uint32_t held = 0;
    std::uint64_t bytes = 0;
    std::uint64_t published = 0;
    std::uint64_t lost = 0;
    std::uint32_t pid = 0;  // of the reader; 0: unknown here
};

// An ipset that new connections are looked up in.
struct ModuleSet {
    std::string name;
    std::uint8_t dim = 1;
    std::uint8_t flags = 1;   // SW_NL_SET_FLAGS
    std::uint16_t index = 0;  // ip_set's own number; only told

    bool operator==(const ModuleSet&) const = default;
};

// What marks new connections.
struct ModuleBinding {
    bool marks = false;           // it does; with no set, by the class that packets bring
    std::vector<ModuleSet> sets;  // in their order

    bool operator==(const ModuleBinding&) const = default;
};

using ModuleCounters = std::array<std::uint64_t, SW_REASON_COUNT>;  // by enum sw_reason

struct ModuleEvent {
    sw_nl_event event = SW_NL_EVENT_OPENED;
    RingStatus ring;
};

// The messages' readers, apart from the socket; nothing: not understood. Pure.
[[nodiscard]] std::optional<ModuleStatus> read_module_status(const nlmsghdr* message);
[[nodiscard]] std::optional<RingStatus> read_ring_status(const nlmsghdr* message);
[[nodiscard]] std::optional<ModuleCounters> read_module_counters(const nlmsghdr* message);
[[nodiscard]] std::optional<ModuleEvent> read_module_event(const nlmsghdr* message);
[[nodiscard]] std::optional<ModuleBinding> read_module_binding(const nlmsghdr* message);

class ModuleControl {
  public:
    // `missing` if the module is not loaded, `mismatch` if it speaks another version.
    static Result<ModuleControl> open();

    Result<ModuleStatus> status();
    // What `policy` leaves empty stays as it is. Needs CAP_NET_ADMIN; refused
    // values change nothing.
    Result<void> set_policy(const ModulePolicy& policy);
    Result<std::vector<RingStatus>> rings();
    Result<ModuleCounters> counters();
    // In place of what is bound. Needs CAP_NET_ADMIN. Nothing changes on an error, which
    // names the set; `unsupported`: this module cannot look at sets.
    Result<void> bind(const ModuleBinding& binding);
    Result<ModuleBinding> bound();

  private:
    friend class ModuleEvents;
    ModuleControl(NetlinkSocket socket, std::uint16_t family, std::uint32_t group)
        : socket_(std::move(socket)), family_(family), group_(group) {}

    NetlinkSocket socket_;
    std::uint16_t family_;
    std::uint32_t group_;
};

// The module's multicast events, on a socket of their own.
class ModuleEvents {
  public:
    static Result<ModuleEvents> subscribe(const ModuleControl& control);

    // Readable when events wait.
    [[nodiscard]] int fd() const { return fd_.get(); }
    // What waits. Events that the socket had no room for are gone: `lost` then counts one more.
    Result<std::vector<ModuleEvent>> read();
    [[nodiscard]] std::uint64_t lost() const { return lost_; }

  private:
    ModuleEvents(Descriptor fd, std::uint16_t family) : fd_(std::move(fd)), family_(family) {}

    Descriptor fd_;
    std::uint16_t family_;
    std::uint64_t lost_ = 0;
};

}  // namespace synward
