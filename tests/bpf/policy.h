// SPDX-License-Identifier: GPL-2.0-or-later
// What a test wants the program to do, and how it gets into the maps.
#pragma once

#include <map>
#include <string>
#include <vector>

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
};

struct Policy {
    sw_config config{};
    std::vector<sw_service> services = std::vector<sw_service>(SW_SERVICES);
    std::vector<sw_state> states = std::vector<sw_state>(SW_SERVICES);
    std::map<unsigned, unsigned> ports;                          // port -> service or SW_PORT_BY_ADDRESS
    std::map<std::pair<Address, unsigned>, unsigned> addresses;  // address, port -> service
    std::vector<Fate> fates;

    // Service 1 always armed on port 80, 2 monitor, 3 auto and idle, 4 off, 5 on
    // port 84 of the host's addresses only; nothing is limited; reqsk delivery.
    static Policy standard();

    // Writes everything, into config.generation; config last.
    void store(const Object& object) const;

    // As the program shall see it.
    [[nodiscard]] unsigned service_of(const Address& destination, unsigned port) const;
    [[nodiscard]] sw_fate fate_of(const Address& source) const;

    sw_service& web() { return services[kWeb]; }
};

// A service with all options on and the numbers of a Linux host on Ethernet.
sw_service make_service(const std::string& name, sw_mode mode);

}  // namespace synward::bpf_test
