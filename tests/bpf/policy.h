// SPDX-License-Identifier: GPL-2.0-or-later
// What a test wants the program to do, and how it gets into the maps.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "abi/escalate.h"
#include "object.h"

namespace synward::bpf_test {

// Service indices and ports of the standard policy.
inline constexpr unsigned kNone = 0, kWeb = 1, kMonitor = 2, kAuto = 3, kOff = 4, kBound = 5;
inline constexpr unsigned kWebPort = 80, kMonitorPort = 81, kAutoPort = 82, kOffPort = 83, kBoundPort = 84,
                          kFreePort = 9999;

struct Fate {
    Address address;
    unsigned bits;  // 32 or 128: exact
    sw_fate fate;
    unsigned port = 0;  // 0: every port
};

// A decision of the daemon that the program keeps; by shape where `doubt` says so.
struct StoredTicket {
    unsigned service;
    sw_doubt doubt;
    Address source;
    sw_shape shape{};
    sw_action action = SW_ACTION_DROP;
    bool expired = false;

    [[nodiscard]] sw_ticket_key key() const;
};

// What the map holds of one that ends at a tick.
sw_ticket make_ticket(std::uint64_t until, sw_action action);

struct Policy {
    sw_config config{};
    std::vector<sw_service> services = std::vector<sw_service>(SW_SERVICES);
    std::vector<sw_state> states = std::vector<sw_state>(SW_SERVICES);
    std::map<unsigned, unsigned> ports;                          // port -> service or SW_PORT_BY_ADDRESS
    std::map<std::pair<Address, unsigned>, unsigned> addresses;  // address, port -> service
    std::vector<Fate> fates;
    // Where the exact ones are: in the way that is tried first, in the last one, or
    // in their other set.
    enum class Exact { first_way, last_way, other_set } exact = Exact::first_way;
    // Of the source sets; what the generation not in force holds is left alone.
    unsigned source_generation = 0;
    unsigned gate_shift = SW_GATE_BITS;  // kGateShift: the large one
    std::vector<StoredTicket> tickets;

    // Service 1 always armed on port 80, 2 monitor, 3 auto and idle, 4 off, 5 on
    // port 84 of the host's addresses only; nothing is limited; reqsk delivery.
    static Policy standard();

    // Writes everything, into config.generation; config last.
    void store(const Object& object) const;

    // One exact source in the table of one generation. Throws if its sets are full.
    void put_exact(std::span<sw_source_set> sets, const Fate& fate) const;
    // Every fate, into `source_generation`; config.sources names it afterwards.
    void store_sources(const Object& object, sw_config& stored) const;

    // As the program shall see it.
    [[nodiscard]] unsigned service_of(const Address& destination, unsigned port) const;
    [[nodiscard]] sw_fate fate_of(const Address& source, unsigned port) const;

    // What the ticket in force says, if there is one.
    [[nodiscard]] std::optional<sw_action> ticket(unsigned service, sw_doubt doubt,
                                                  const Address& source) const;
    [[nodiscard]] std::optional<sw_action> ticket(unsigned service, const sw_shape& shape) const;

    sw_service& web() { return services[kWeb]; }
};

// A service with all options on and the numbers of a Linux host on Ethernet.
sw_service make_service(const std::string& name, sw_mode mode);

}  // namespace synward::bpf_test
